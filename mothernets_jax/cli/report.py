"""`mothernets report` and `mothernets compare`: pages of finished runs, without JAX."""

import argparse
from collections.abc import Sequence


def add_commands(commands: "argparse._SubParsersAction") -> None:
    """Adds both subcommands."""
    report = commands.add_parser(
        "report",
        help="make the page of a finished run again",
        description="Makes the page of a finished run again.",
        allow_abbrev=False,
    )
    report.add_argument("runs", nargs=1, metavar="RUN", help="its folder")
    report.set_defaults(run=_report)
    compare = commands.add_parser(
        "compare",
        help="compare finished runs",
        description="Compares finished runs: those that differ in the seed alone are "
        "averaged, others stand side by side.",
        allow_abbrev=False,
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="its folder")
    compare.add_argument(
        "--out",
        metavar="FILE",
        help="the page, its figures beside it as .json; default: comparison.html "
        "beside the first run",
    )
    compare.add_argument(
        "--trials",
        metavar="FILE",
        help="results of `python -m benchmarks.frontier`, whose trials are listed, too",
    )
    compare.set_defaults(run=_compare)


def _report(options: argparse.Namespace) -> int:
    return _make_pages(_paths(options))


def _compare(options: argparse.Namespace) -> int:
    if len(options.runs) < 2:
        raise ValueError(
            f"only {options.runs[0]} is given: expected two runs or more to compare; "
            "mothernets report RUN makes the page of one"
        )
    given = [
        f"--{n}={getattr(options, n)}" for n in ("out", "trials") if getattr(options, n)
    ]
    return _make_pages([*given, *_paths(options)])


def _make_pages(arguments: Sequence[str]) -> int:
    from mothernets_jax.report.__main__ import main  # slow, with its plots

    return main(arguments)


def _paths(options: argparse.Namespace) -> list[str]:
    return ["--", *options.runs]  # a folder's name may begin with a dash
