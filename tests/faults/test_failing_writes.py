"""A write that fails, whichever it is, loses nothing that was saved before.

    MOTHERNETS_JAX_EVERY_WRITE=1 python -m pytest -m slow -k failing_writes

lets every call that changes a run's folder fail in turn; otherwise it is every 50th.
Needs a C compiler and Linux.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVERY = os.environ.get("MOTHERNETS_JAX_EVERY_WRITE", "50")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """What stands between a program and the system, compiled."""
    path = tmp_path_factory.mktemp("library") / "failing_writes.so"
    source = HERE / "failing_writes.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", path, source, "-ldl"],
        check=True,
    )
    return path


def run(library, *arguments, seconds=None, **environment):
    """Exit code and output, both kinds together, of a Python program."""
    process = subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=False,
        cwd=ROOT,
        env=os.environ
        | {"LD_PRELOAD": str(library), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    return process.returncode, process.stdout


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_nothing_saved_is_lost_and_a_restart_completes(library, tmp_path, error):
    script = ROOT / "tests" / "scripts" / "failing_writes.py"
    code, output = run(library, script, tmp_path, error, 1, EVERY)
    print(output)
    assert code == 0, output
    assert "Traceback" not in output
    assert f"{error}: 0 calls" not in output


@pytest.mark.parametrize("number", [1, 25, 60, 100, 150])
def test_the_program_ends_at_once_with_one_message(library, tmp_path, number):
    workdir = tmp_path / "run"
    told = f"{number} {errno.ENOSPC} 1 {tmp_path}"
    command = ("launch.py", "--config=tests/faults/tiny.py", f"--workdir={workdir}")
    code, output = run(library, *command, seconds=120, FAILING_WRITES=told)
    assert code == 2, output
    assert "Traceback" not in output
    assert output.splitlines()[-1].startswith("error: ")
    assert "No space left on device" in output or "the disk is full" in output
