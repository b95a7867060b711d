"""`mothernets plan`: what would be trained, and what it costs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mothernets_jax.cli.arguments import add_debug, add_experiment, in_own_words

if TYPE_CHECKING:
    from rich.console import Console

    from mothernets_jax.config.settings import Settings
    from mothernets_jax.runs.machine_plan import Machine


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
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="tell the seconds and dollars of each method on so many devices",
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="their kind: one whose steps were timed, such as H100, or here, for this "
        "machine's, which are timed now (default)",
    )
    parser.add_argument(
        "--price",
        type=float,
        metavar="DOLLARS",
        help="dollars for an hour of one device; default: the setting prices",
    )
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Shows the plan; a failure ends the process with one line."""
    from mothernets_jax.cli.experiment import read  # as all below, slow to import

    found = read(options)
    machine = _machine(options, found.settings)
    for sentence in found.choices:
        print(sentence, flush=True)
    if not options.measure and machine is None:
        from rich.console import Console

        from mothernets_jax.runs.outline import show_outline

        if show_outline(found.settings, Console()):
            return 0
    from mothernets_jax.runs.carry_out import carry_out  # imports JAX, which is slow

    def work(settings: "Settings", workdir: Path, console: "Console") -> None:
        from mothernets_jax.runs import experiment, machine_plan

        del workdir  # which is not made
        if machine is not None:
            machine_plan.show_machine_plan(settings, console, machine)
        else:
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


def _machine(options: argparse.Namespace, settings: "Settings") -> "Machine | None":
    """The machine that a plan is for; None where it is for no other than this.

    Raises:
        ValueError: arguments that name no machine for which there can be a plan.
    """
    given = options.devices, options.device, options.price
    if all(value is None for value in given):
        return None
    if options.devices is None or options.measure:
        raise ValueError(
            "--device and --price are those of a machine: expected --devices=N with "
            "them, and no --measure, which is of this machine as it is"
        )
    from mothernets_jax.runs.machine_plan import HERE, Machine, check_machine

    device = HERE if options.device is None else options.device
    machine = Machine(options.devices, device, options.price)
    check_machine(machine, settings)
    return machine
