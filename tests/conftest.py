"""Where and how the tests run: on the CPU, strictly, from a printed seed, all of them.

With `-n` (pytest-xdist) a controller hands the tests to workers, each of which collects
them all. Seed and environment are the controller's; workers inherit them, and the
folder in which what one has compiled is there for all, until the run's end.

JAX reads its settings from the environment when it is first imported, hence none of the
imports of JAX stands at the top of this file.
"""

import ast
import fcntl
import gc
import importlib.metadata
import json
import os
import random
import re
import tempfile
from pathlib import Path

import hypothesis
import pytest

SEED = pytest.StashKey[int]()
# Programs that tests start, and files that they read.
collect_ignore = ["scripts", "fixtures"]
CI = bool(os.environ.get("CI"))


def pytest_addoption(parser):
    parser.addoption(
        "--complete",
        action="store_true",
        help="fail where a test did not run that is not marked slow, gpu or extras",
    )


@pytest.hookimpl(tryfirst=True)  # before Hypothesis reads its seed
def pytest_configure(config):
    marks = config.option.markexpr
    if marks and not re.search(r"(?<!not )\bgpu\b", marks):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        os.environ.setdefault("XLA_FLAGS", flags_to_compile_fast())
    os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
    if not hasattr(config, "workerinput"):
        share_programs(config)

    default = 0 if CI else random.randrange(2**31)
    seed = int(os.environ.setdefault("MOTHERNETS_JAX_SEED", str(default)))
    config.stash[SEED] = seed
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(seed)
    hypothesis.settings.register_profile(
        "mothernets_jax",
        deadline=None,  # the first example compiles
        derandomize=CI,
        print_blob=True,
        # A fixture here is a setting for all examples (`x64`), not a state.
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    )
    hypothesis.settings.load_profile("mothernets_jax")

    if config.option.complete:
        config.pluginmanager.register(Completeness(), "completeness")


def flags_to_compile_fast() -> str:
    """Flags of XLA for programs that are compiled soon and run for milliseconds.

    All of LLVM's passes take nearly twice as long, emitters of fusions by MLIR twice as
    long again, and a program in 32 parts, for as many threads, half as long again.
    `make test-all` compiles as users do.
    """
    flags = "--xla_backend_optimization_level=0"
    # One that jaxlib does not know ends the process, and others may not know these.
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        flags += " --xla_cpu_use_fusion_emitters=false"
        flags += " --xla_cpu_parallel_codegen_split_count=1"
    return flags


def share_programs(config):
    """Keeps what is compiled in a folder for all processes, deleted at the end."""
    folder = tempfile.TemporaryDirectory(prefix="mothernets_jax-programs-")
    config.add_cleanup(folder.cleanup)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_collection_finish():
    """Leaves what was imported out of every later search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config):
    return f"MOTHERNETS_JAX_SEED={config.stash[SEED]} replays this run"


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if exitstatus != pytest.ExitCode.OK:
        terminalreporter.write_line(pytest_report_header(config))


@pytest.fixture
def seed(request) -> int:
    """The seed of this run, for tests that draw their inputs."""
    return request.config.stash[SEED]


@pytest.fixture
def cache_home(tmp_path_factory, monkeypatch) -> Path:
    """Where the user's own cache is meanwhile, for tests that fill it."""
    home = tmp_path_factory.mktemp("home") / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory):
    """Folder of a finished run and another seed's; the first's results and ensembles.

    They are `run` and `other` in the folder, and not to be altered. Of several workers
    the first that needs them makes them.
    """
    from fake_runs import without_clocks
    from faults.smallest import OTHER_SEED, TWO_METHODS, ensembles, run

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of the workers' own folders
    top, done = shared / "finished", shared / "finished.done"
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            run(top / "run", TWO_METHODS)
            run(top / "other", OTHER_SEED)
            done.touch()
    results = json.loads((top / "run" / "results.json").read_text(encoding="utf-8"))
    return top, without_clocks(results), ensembles(top / "run")


@pytest.fixture(scope="module")
def unrendered_plots():
    """Pages without their plots' content: see `unrendered`."""
    from unrendered import unrendered

    with unrendered():
        yield


@pytest.fixture
def x64():
    """Float64 for one test."""
    import jax

    with jax.enable_x64(True):
        yield


class Completeness:
    """Fails a run that passes only because tests were left out.

    Left out is a test that was skipped, deselected, or never found by pytest (its file
    or class has the wrong name). Only the marks slow, gpu and extras allow it.
    """

    def __init__(self):
        self.items = []
        self.collected = []
        self.ran = set()
        self.skipped = set()
        self.left_out = []

    @pytest.hookimpl(tryfirst=True)  # before -m deselects
    def pytest_collection_modifyitems(self, items):
        self.items = list(items)

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.add(report.nodeid)
        elif report.when == "call":
            self.ran.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)  # of pytest-xdist: a worker is done
    def pytest_testnodedown(self, node):
        self.collected += getattr(node, "workeroutput", {}).get("collected", [])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        self.collected += [describe(item) for item in self.items]
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["collected"] = self.collected
            return
        if session.config.option.collectonly or session.exitstatus != 0:
            return
        root = session.config.rootpath
        found = {(test["path"], test["function"]) for test in self.collected}
        self.left_out = [
            f"{path.relative_to(root)}::{name}"
            for path in sorted(root.glob("tests/**/*.py"))
            for name in defined_tests(path)
            if (str(path), name) not in found
        ] + sorted(
            {test["nodeid"] for test in self.collected if not test["may_be_left_out"]}
            - (self.ran - self.skipped)
        )
        if self.left_out:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.left_out:
            terminalreporter.section("tests that did not run", red=True)
            for name in self.left_out:
                terminalreporter.write_line(name)


def describe(item: pytest.Item) -> dict[str, str | bool]:
    """What a worker tells the controller of a test, in plain values."""
    return {
        "nodeid": item.nodeid,
        "path": str(item.path),
        "function": getattr(item, "originalname", ""),
        "may_be_left_out": any(
            item.get_closest_marker(m) for m in ("slow", "gpu", "extras")
        ),
    }


def defined_tests(path: Path) -> list[str]:
    """Names of the test functions in a file's source, found by pytest or not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bodies = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef)]
    return [
        statement.name
        for body in bodies
        for statement in body.body
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        and statement.name.startswith("test")
    ]
