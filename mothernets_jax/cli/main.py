"""The command `mothernets`: its subcommands, and how it ends."""

import argparse
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence

from mothernets_jax.cli import export, grow, plan, predict, report, train
from mothernets_jax.cli.arguments import in_own_words

_EPILOG = """\
mothernets train IMAGES                            an ensemble for a folder of images
mothernets plan IMAGES                             what would be trained, what it costs
mothernets predict RUN PHOTOS --output=table.csv   a class for each file
mothernets export RUN flowers.onnx                 one file, which needs none of this
mothernets grow RUN --replicas=2                   more members for a finished run
mothernets train --experiment=vgg_ensemble         the paper's V5 on a few digits
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: the arguments after the command's name; None for this process's.

    Returns:
        The exit code: 0, or 2 for a user's mistake, which is told in one line.
    """
    # Until a run notices signals by itself, Ctrl-C ends it as SIGTERM does: in silence.
    if arguments is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if getattr(options, "debug", False):
            raise
        print(f"error: {in_own_words(str(error))}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mothernets",
        description="Ensembles of image classifiers, hatched from shared MotherNets.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (train, grow, plan, report, predict, export):
        module.add_commands(commands)
    return parser


def version() -> str:
    """Name and version of the package; of a checkout that is not installed, only that.

    >>> version().startswith("mothernets")
    True
    """
    try:
        return f"mothernets-jax {importlib.metadata.version('mothernets-jax')}"
    except importlib.metadata.PackageNotFoundError:
        return "mothernets-jax, from a checkout"
