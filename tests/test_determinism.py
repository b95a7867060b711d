"""The same command, machine and strategy give the same numbers, to the last bit.

That strategies agree to rounding, `test_groups.py` has.
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

ROOT = Path(__file__).parents[1]


def start(workdir, hash_seed, *arguments):
    """A process in which sets and dictionaries of names have an order of their own."""
    command = ["launch.py", "--config=tests/faults/tiny.py:smallest", *arguments]
    return subprocess.Popen(
        [sys.executable, *command, f"--workdir={workdir}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
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
    names = ("first", "second", "another_seed")
    arguments = ((), (), ("--config.seed=1",))
    processes = [
        start(tmp_path / name, number, *given)
        for number, (name, given) in enumerate(zip(names, arguments, strict=True))
    ]
    first, second, other = (
        finish(process, tmp_path / name)
        for name, process in zip(names, processes, strict=True)
    )
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[1], other[1])
