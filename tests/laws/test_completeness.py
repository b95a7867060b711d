"""A run with --complete fails where a test was left out, on one process or on workers.

The runs are of small trees of tests, with a copy of our conftest.py.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]

WHOLE = {
    "test_whole.py": """
        import os

        import pytest

        @pytest.mark.parametrize("number", range(5))
        def test_one(number, seed):
            print(f"seed={seed} {os.environ.get('PYTEST_XDIST_WORKER')}.")

        @pytest.mark.slow
        def test_that_may_be_left_out():
            raise AssertionError
        """
}
LACKING = {
    "tests_b.py": "def test_in_a_file_of_the_wrong_name(): pass",
    "test_c.py": """
        class Checks:
            def test_in_a_class_of_the_wrong_name(self): pass
        """,
    "test_d.py": """
        import pytest

        def test_that_is_skipped(): pytest.skip()

        def test_that_is_deselected(): pass
        """,
}
LEFT_OUT = [
    "tests/test_c.py::test_in_a_class_of_the_wrong_name",
    "tests/tests_b.py::test_in_a_file_of_the_wrong_name",
    "tests/test_d.py::test_that_is_deselected",
    "tests/test_d.py::test_that_is_skipped",
]
DESELECTING = ["-k", "not deselected"]


def run(folder, *arguments, without=()):
    """Exit code and output of pytest in a folder, without some of our environment."""
    env = {name: value for name, value in os.environ.items() if name not in without}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def make_tree(folder, files):
    (folder / "tests").mkdir()
    shutil.copy(HERE / "conftest.py", folder / "tests")
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\naddopts = -m 'not slow and not gpu'\n"
        "markers =\n    slow\n    gpu\n"
    )
    for name, code in files.items():
        (folder / "tests" / name).write_text(textwrap.dedent(code))


on_workers = pytest.mark.parametrize(
    "workers", [[], ["-n2", "--dist=worksteal"]], ids=["one_process", "workers"]
)


@on_workers
def test_nothing_was_left_out_and_workers_share_one_seed(tmp_path, workers):
    make_tree(tmp_path, WHOLE)
    without = ("CI", "MOTHERNETS_JAX_SEED", "PYTEST_XDIST_WORKER")
    status, output = run(tmp_path, "--complete", "-rP", *workers, without=without)
    assert status == 0, output
    assert "5 passed" in output
    (told,) = re.findall(r"MOTHERNETS_JAX_SEED=(\d+) replays", output)
    found = re.findall(r"seed=(\d+) (\w+)\.", output)
    assert [seed for seed, _ in found] == [told] * 5
    names = {"gw0", "gw1"} if workers else {"None"}
    assert {name for _, name in found} == names


@on_workers
def test_what_was_left_out(tmp_path, workers):
    make_tree(tmp_path, WHOLE | LACKING)
    status, output = run(tmp_path, "--complete", *DESELECTING, *workers)
    assert status == pytest.ExitCode.TESTS_FAILED, output
    _, listed = re.split("=+ tests that did not run =+", output)
    assert [line for line in listed.splitlines() if "::" in line] == LEFT_OUT


def test_pytest_itself_does_not_mind(tmp_path):
    """The control."""
    make_tree(tmp_path, WHOLE | LACKING)
    status, output = run(tmp_path, *DESELECTING)
    assert status == 0, output
