"""Programs in processes of their own that begin with everything imported.

Importing takes a process several seconds, nearly all of what a refused command takes.
Here a server (of `multiprocessing`) imports once, and forks a process for every start:
with its own arguments, folder, environment, output and exit code, and before JAX is
first used. Plots of pages are not rendered. What the interpreter itself does as it
starts and ends (`PYTHONHASHSEED`, waiting for threads) needs `subprocess`.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unrendered import unrendered

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / "launch.py"
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["ml_collections.config_flags", "mothernets_jax.runs.experiment"]
)


class Forked:
    """A Python script that runs, as `python SCRIPT ARGUMENTS` does."""

    def __init__(self, script: Path, *arguments, cwd: Path = ROOT, **environment: str):
        """Starts it in a folder, with these variables beside those of this process."""
        self._folder = tempfile.TemporaryDirectory()
        self._command = [str(script), *map(str, arguments)]
        given = self._command, str(cwd), os.environ | environment, self._folder.name
        self._process = SERVER.Process(target=_run, args=given)
        self._process.start()

    @property
    def pid(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Ends it at once, and waits until it has ended."""
        self._process.kill()
        self._process.join()
        self._folder.cleanup()

    def finish(self, seconds: float = 300) -> subprocess.CompletedProcess:
        """Waits for its end, at most so long; its exit code and output."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(self._command, seconds)
        with self._folder:
            out, err = (
                Path(self._folder.name, name).read_text(encoding="utf-8")
                for name in ("out", "err")
            )
        code = self._process.exitcode
        return subprocess.CompletedProcess(self._command, code, out, err)


def _run(command, cwd, environment, folder):
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = command
    sys.path.insert(0, str(Path(command[0]).parent))
    with unrendered():
        runpy.run_path(command[0], run_name="__main__")


def launch(*arguments, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Runs `launch.py` with these arguments in a folder."""
    return Forked(LAUNCH, *arguments, cwd=cwd).finish()


def launch_all(commands) -> list[subprocess.CompletedProcess]:
    """Runs `launch.py` with each of these lists of arguments, one a core at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda arguments: launch(*arguments), commands))
