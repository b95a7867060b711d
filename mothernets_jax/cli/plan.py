"""`mothernets plan`: what would be trained, and what it costs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mothernets_jax.cli.arguments import add_debug, add_experiment, in_own_words

if TYPE_CHECKING:
    from rich.console import Console

    from mothernets_jax.config.settings import Settings


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "plan",
        help="show what would be trained, and what it costs",
        description="Shows the data, the clusters, their MotherNets and the training "
        "FLOPs, and trains nothing.",
        allow_abbrev=False,
    )
    add_experiment(parser)
    parser.add_argument(
        "--measure",
        action="store_true",
        help="compile every program and time a few steps of it: minutes, dollars and "
        "memory",
    )
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Shows the plan; a failure ends the process with one line."""
    from mothernets_jax.cli.experiment import read  # as all below, slow to import

    found = read(options)
    for sentence in found.choices:
        print(sentence, flush=True)
    if not options.measure:
        from rich.console import Console

        from mothernets_jax.runs.outline import show_outline

        if show_outline(found.settings, Console()):
            return 0
    from mothernets_jax.runs.carry_out import carry_out  # imports JAX, which is slow

    def work(settings: "Settings", workdir: Path, console: "Console") -> None:
        from mothernets_jax.runs import experiment

        del workdir  # which is not made
        experiment.show_plan(
            settings, console, with_data=True, measured=options.measure
        )

    carry_out(
        lambda: found.settings,
        work,
        name=found.name,
        workdir=None,
        debug=options.debug,
        in_words=in_own_words,
    )
    return 0
