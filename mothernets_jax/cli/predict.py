"""`mothernets predict`: a table with the class of each image file."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from mothernets_jax.cli.arguments import add_debug, add_ensemble, load_ensemble

_MOST_NAMED = 10  # files that cannot be read, in the terminal


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "predict",
        help="predict the classes of image files",
        description="Predicts the class of each image file, its probability and its "
        "uncertainty, and writes a CSV table.",
        allow_abbrev=False,
    )
    add_ensemble(parser)
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="image files, or folders of them"
    )
    parser.add_argument(
        "--output", default="predictions.csv", metavar="FILE", help="the table"
    )
    parser.add_argument(
        "--resize",
        choices=("crop", "pad", "stretch"),
        help="how files become squares, for an ensemble that was trained on arrays; "
        "others know it",
    )
    parser.add_argument("--batch-size", type=int, default=512, metavar="N")
    add_debug(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Predicts as the arguments say; returns 0, or 1 where no file could be read."""
    output = Path(options.output)
    if output.suffix.lower() != ".csv" or not output.absolute().parent.is_dir():
        raise ValueError(
            f"--output={output}: expected a file that ends in .csv, in a folder that "
            "is there"
        )
    ensemble = load_ensemble(options.ensemble, options.method)
    predictions = ensemble.predict_files(
        options.paths,
        combine=options.combine,
        calibrated=options.calibrated,
        batch_size=options.batch_size,
        resize=options.resize,
    )
    predictions.write_csv(output)
    _tell_failed(predictions.failed)
    print(f"{len(predictions.rows):,} files predicted: {output}")
    return 0 if predictions.rows else 1


def _tell_failed(failed: Iterable[tuple[str, str]]) -> None:
    """Names the files that could not be read, at most ten of them."""
    failed = list(failed)
    for path, reason in failed[:_MOST_NAMED]:
        print(f"warning: {path}: {reason}", file=sys.stderr)
    if len(failed) > _MOST_NAMED:
        more = len(failed) - _MOST_NAMED
        print(
            f"warning: {more:,} more could not be read, see the table", file=sys.stderr
        )
