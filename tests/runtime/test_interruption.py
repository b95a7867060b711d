"""Signals: noted where files are read and written, else the end at once."""

import os
import signal

import pytest
from forked import Forked

from mothernets_jax.runtime.interruption import InterruptedRunError, Interruption

# By this program's own process, in the middle of reading, 200 times.
PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
import jax.numpy as jnp
from mothernets_jax.storage import checkpoints
from mothernets_jax.runtime.interruption import InterruptedRunError, Interruption

folder, variables = Path(sys.argv[1]), {"a": {"w": jnp.ones(3)}}
checkpoints.save(folder, variables, {})
for number in range(200):
    interruption = Interruption()
    with interruption.watch(), interruption.shielded():
        delay = number % 20 / 1000
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGTERM)).start()
        checkpoints.verify(folder, variables)
        while not interruption.requested():
            time.sleep(0.001)
    try:
        interruption.check()
    except InterruptedRunError as error:
        assert error.exit_code == 143
    else:
        raise AssertionError
print("never hung")
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_is_noted_or_ends_the_run(number, code):
    before = signal.getsignal(number)
    interruption = Interruption()
    with interruption.watch():
        with interruption.shielded(), interruption.shielded():
            os.kill(os.getpid(), number)
            assert interruption.requested() == number
            # A second one kills.
            assert signal.getsignal(number) is signal.SIG_DFL
        with pytest.raises(InterruptedRunError, match="the same command") as caught:
            interruption.check()
        assert caught.value.exit_code == code
    assert signal.getsignal(number) is before
    with (
        pytest.raises(InterruptedRunError) as caught,
        Interruption().watch(),
    ):
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code


def test_reading_is_never_left_hanging(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = Forked(tmp_path / "program.py", tmp_path / "saved").finish(120)
    assert done.stdout.strip() == "never hung", done.stderr
