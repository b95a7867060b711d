"""The command that makes the page of a finished run, or compares several.

python -m mothernets_jax.report RUN              makes a run's page again
python -m mothernets_jax.report RUN RUN ...      compares finished runs
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mothernets_jax.report.compare import compare
from mothernets_jax.report.comparison_page import write_comparison
from mothernets_jax.report.findings import UNVERIFIED
from mothernets_jax.report.finished_runs import check_comparable, read_run
from mothernets_jax.report.run_page import write_report
from mothernets_jax.report.trials import read_trials


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, 0, or 2 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m mothernets_jax.report",
        description="Makes the page of a finished run again, or compares several: runs "
        "that differ in the seed alone are averaged, others stand side by side.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="its folder")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the comparison's page, its figures beside it as .json; default: "
        "comparison.html beside the first run",
    )
    parser.add_argument(
        "--trials",
        type=Path,
        metavar="FILE",
        help="results of `python -m benchmarks.frontier`, whose trials are then listed "
        "on the comparison's page",
    )
    options = parser.parse_args(arguments)
    try:
        runs = [read_run(folder) for folder in options.runs]
        if len(runs) == 1:
            for name in ("out", "trials"):
                if getattr(options, name):
                    raise ValueError(
                        f"--{name} is for a comparison: expected several runs"
                    )
            path = write_report(
                runs[0].results, options.runs[0], unverified=not runs[0].verified
            )
        else:
            check_comparable(runs)
            out = options.out or options.runs[0].absolute().parent / "comparison.html"
            if out.suffix != ".html" or out.is_dir():
                raise ValueError(f"--out={out}: expected a file that ends in .html")
            trials = read_trials(options.trials) if options.trials else {}
            path = write_comparison(compare(runs), out, trials)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for run in runs:
        if not run.verified:
            print(f"warning: {run.folder}: {UNVERIFIED}", file=sys.stderr)
    print(f"report: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
