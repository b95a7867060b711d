"""`mothernets export`: an ensemble as one file that other programs read."""

import argparse

from mothernets_jax.cli.arguments import add_debug, add_ensemble, load_ensemble


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "export",
        help="write an ensemble as one file for other programs",
        description="Writes an ensemble as one file that other programs read: raw "
        "images in, probabilities out. The ending of its name says which kind.",
        allow_abbrev=False,
    )
    add_ensemble(parser)
    parser.add_argument("output", metavar="OUT.onnx", help="the file")
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Exports as the arguments say."""
    ensemble = load_ensemble(options.ensemble, options.method)
    ensemble.export(
        options.output, combine=options.combine, calibrated=options.calibrated
    )
    print(f"exported: {options.output}")
    return 0
