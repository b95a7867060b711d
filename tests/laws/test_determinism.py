"""The same command, machine and strategy give the same numbers, to the last bit.

That strategies agree to rounding, `test_groups.py` has; that another seed is another
run, `test_experiment.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from fake_runs import without_clocks

import mothernets_jax as mn
from mothernets_jax import data

ROOT = Path(__file__).parents[2]


def start(workdir, hash_seed):
    """A process in which sets and dictionaries of names have an order of their own.

    It compiles all of its programs itself.
    """
    command = ["launch.py", "--config=tests/faults/tiny.py:smallest"]
    return subprocess.Popen(
        [sys.executable, *command, f"--workdir={workdir}"],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONHASHSEED": str(hash_seed),
            "JAX_COMPILATION_CACHE_DIR": f"{workdir}-programs",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process, workdir):
    """What is to be the same: results without clocks and commands, and logits."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    results = without_clocks(json.loads((workdir / "results.json").read_text()))
    del results["provenance"]["command"]
    images = data.load("digits").test_images
    return results, mn.Ensemble.load(workdir).member_logits(images)


def test_the_same_command_gives_the_same_numbers_bit_for_bit(tmp_path):
    workdirs = [tmp_path / name for name in ("first", "second")]
    processes = [start(workdir, number) for number, workdir in enumerate(workdirs)]
    first, second = map(finish, processes, workdirs)
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
