"""Every benchmark runs, at a tiny size, and writes what its readers look for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A key that the benchmark's own figures stand under.
FIGURES = {
    "step_128": "ratios",
    "convolution": "milliseconds",
    "strategy": "rows",
    "compile": "total_seconds",
    "hatching": "rows",
    "cost_curve": "rows",
    "run_split": "shares",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_benchmark_at_tiny_size(name, tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu_all", "--tiny", f"--only={name}"]
    subprocess.run([*command, f"--out={tmp_path}"], cwd=ROOT, check=True)
    results = json.loads((tmp_path / f"{name}.json").read_text())
    assert results[FIGURES[name]]
    assert results["provenance"]["command"].startswith("python -m benchmarks.")
