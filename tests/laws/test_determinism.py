"""The same command, machine and strategy give the same numbers, to the last bit.

That strategies agree to rounding, `test_groups.py` has; that another seed is another
run, `test_experiment.py`.
"""

import json
import os
import subprocess
import sys

import numpy as np
from fake_runs import without_clocks
from forked import LAUNCH, ROOT, launch

import mothernets_jax as mn
from mothernets_jax import data

CONFIG = "--config=tests/faults/tiny.py:smallest"


def launch_cold(workdir):
    """The command in a process that compiles all of its programs itself.

    In it sets and dictionaries of names have an order of their own.
    """
    return subprocess.run(
        [sys.executable, LAUNCH, CONFIG, f"--workdir={workdir}"],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONHASHSEED": "1",
            "JAX_COMPILATION_CACHE_DIR": f"{workdir}-programs",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def outcome(done, workdir):
    """What is to be the same: results without clocks and commands, and logits."""
    assert done.returncode == 0, done.stdout
    results = without_clocks(json.loads((workdir / "results.json").read_text()))
    del results["provenance"]["command"]
    images = data.load("digits").test_images
    return results, mn.Ensemble.load(workdir).member_logits(images)


def test_the_same_command_gives_the_same_numbers_bit_for_bit(tmp_path):
    cold, warm = tmp_path / "cold", tmp_path / "warm"
    first = outcome(launch_cold(cold), cold)
    # Its programs are those that the tests' other processes have compiled.
    second = outcome(launch(CONFIG, f"--workdir={warm}"), warm)
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
