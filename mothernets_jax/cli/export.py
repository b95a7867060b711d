"""`mothernets export`: an ensemble as files that other programs read."""

import argparse
from pathlib import Path

from mothernets_jax.cli.arguments import add_debug, add_ensemble, load_ensemble


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "export",
        help="write an ensemble as files that other programs read",
        description="Writes an ensemble as one ONNX file, raw images in and "
        "probabilities out, or as a folder for model hubs: weights in safetensors, a "
        "JSON card and a model card.",
        allow_abbrev=False,
    )
    add_ensemble(parser)
    parser.add_argument(
        "output", metavar="OUTPUT", help="the file, such as OUT.onnx, or the folder"
    )
    parser.add_argument(
        "--format",
        choices=("onnx", "safetensors"),
        default="onnx",
        help="a file for runtimes of ONNX, or a folder for model hubs; default: onnx",
    )
    parser.add_argument(
        "--license",
        metavar="NAME",
        help="identifier of the license for the model card, such as apache-2.0",
    )
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Exports as the arguments say."""
    if options.format == "onnx":
        _check_onnx(options)
    ensemble = load_ensemble(options.ensemble, options.method)
    combination = {"combine": options.combine, "calibrated": options.calibrated}
    if options.format == "onnx":
        ensemble.export(options.output, **combination)
    else:
        from mothernets_jax.runs.origin import origin_of_saved

        known = origin_of_saved(options.ensemble, options.method)
        ensemble.export_safetensors(
            options.output, license=options.license, **combination, **known
        )
    print(f"exported: {options.output}")
    return 0


def _check_onnx(options: argparse.Namespace) -> None:
    """Refuses, before anything is loaded, what belongs to a folder for hubs."""
    if Path(options.output).suffix.lower() != ".onnx":
        raise ValueError(
            f"{options.output}: expected a file that ends in .onnx, or "
            "--format=safetensors, which writes a folder"
        )
    if options.license is not None:
        raise ValueError(
            f"--license={options.license}: expected --format=safetensors beside it, as "
            "an ONNX file has no model card"
        )
