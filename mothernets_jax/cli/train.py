"""`mothernets train`: trains an ensemble, and goes on where it stopped."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mothernets_jax.cli.arguments import add_debug, add_experiment, in_own_words

if TYPE_CHECKING:
    from rich.console import Console

    from mothernets_jax.config.settings import Settings


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "train",
        help="train an ensemble",
        description="Trains an ensemble. The same command again goes on where it "
        "stopped.",
        allow_abbrev=False,
    )
    add_experiment(parser)
    parser.add_argument(
        "--workdir", metavar="FOLDER", help="the run's folder; default: runs/..."
    )
    parser.add_argument(
        "--mirror",
        metavar="URL",
        help="s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, where what is saved is copied "
        "to, and fetched from on an empty disk",
    )
    parser.add_argument(
        "--budget",
        metavar="AMOUNT",
        help="what training may take: 10min, 2h, $2, 1e15flops or 30epochs",
    )
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Trains as the arguments say; a failure ends the process with one line."""
    from mothernets_jax.cli.experiment import read  # as all below, slow to import

    found = read(options)
    for sentence in found.choices:
        print(sentence)
    sys.stdout.flush()
    from mothernets_jax.runs.carry_out import carry_out  # imports JAX, which is slow

    def work(settings: "Settings", workdir: Path, console: "Console") -> None:
        from mothernets_jax.runs import experiment

        command = shlex.join(["mothernets", *sys.argv[1:]])
        run = {"name": found.name, "workdir": workdir, "command": command}
        experiment.run(settings, console=console, mirror=options.mirror, **run)

    carry_out(
        lambda: _with_budget(found.settings, options.budget),
        work,
        name=found.name,
        workdir=options.workdir,
        debug=options.debug,
        in_words=in_own_words,
    )
    return 0


def _with_budget(settings: "Settings", budget: str | None) -> "Settings":
    """The settings with a budget in the place of their own.

    Raises:
        ValueError: it is no budget.
    """
    if budget is None:
        return settings
    from mothernets_jax.methods import read_settings

    values = settings.to_json()
    values["budget"] |= {"limit": budget, "epochs": None}
    return read_settings(values)
