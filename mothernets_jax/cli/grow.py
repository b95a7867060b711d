"""`mothernets grow`: members or epochs for a finished run, trained from what it has."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mothernets_jax.cli.arguments import add_debug, in_own_words
from mothernets_jax.utils.messages import short_repr

if TYPE_CHECKING:
    from rich.console import Console

    from mothernets_jax.config.settings import Settings


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "grow",
        help="add members or epochs to a finished run",
        description="Adds members, replicas, methods or epochs to a finished run, "
        "drops members, or distills the ensemble into one of them, in a new folder. "
        "Nothing that is trained is trained again; the same command again goes on "
        "where it stopped.",
        allow_abbrev=False,
    )
    parser.add_argument("finished", metavar="RUN", help="the finished run's folder")
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="NAME=NETWORK",
        help='a new member, such as --add V16="vgg (3:64)x2 | ...; dense 64"; may be '
        "given several times",
    )
    parser.add_argument(
        "--replicas",
        type=int,
        metavar="N",
        help="so many networks, in all, of each of the run's architectures",
    )
    parser.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="NAME",
        help="a member to leave out; may be given several times",
    )
    parser.add_argument(
        "--distill",
        metavar="NAME",
        help="distill the ensemble into this member, which goes on for --epochs",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="epochs for which every member goes on, or the one of --distill alone",
    )
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME",
        help="a further method, such as full_data; may be given several times",
    )
    parser.add_argument(
        "--workdir",
        metavar="FOLDER",
        help="the new folder; default: RUN-grown-..., beside the finished run",
    )
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Grows a run as the arguments say; a failure ends the process with one line."""
    from mothernets_jax.runs.carry_out import carry_out  # imports JAX, which is slow
    from mothernets_jax.runs.growing import growing_run

    found = growing_run(
        options.finished,
        add=_members(options.add),
        replicas=options.replicas,
        drop=options.drop,
        distill=options.distill,
        epochs=options.epochs,
        methods=options.method,
        workdir=options.workdir,
    )

    def work(settings: "Settings", workdir: Path, console: "Console") -> None:
        from mothernets_jax.runs import experiment

        experiment.run(
            settings,
            name=found.name,
            workdir=workdir,
            command=shlex.join(["mothernets", *sys.argv[1:]]),
            console=console,
            source=found.source,
        )

    carry_out(
        lambda: found.settings,
        work,
        name=found.name,
        workdir=str(found.workdir),
        debug=options.debug,
        in_words=in_own_words,
    )
    return 0


def _members(texts: Sequence[str]) -> dict[str, str]:
    """The networks of `--add` by name."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, notation = text.partition("=")
        if not equals or not notation.strip() or name in found:
            raise ValueError(
                f"--add {short_repr(text)}: expected NAME=NETWORK, each name once, "
                'such as V16="vgg (3:64)x2"'
            )
        found[name] = notation
    return found
