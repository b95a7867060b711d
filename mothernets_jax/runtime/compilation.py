"""Compilation ahead of time: once for each shape, in the background, and timed.

On a GPU most of a compilation is autotuning: XLA times the kernels that could do each
convolution, and remembers the fastest for later programs of the process. Programs that
are compiled side by side repeat what they share (openxla/xla#41620) and time it against
one another, so that there they are compiled one after another.
"""

import hashlib
import os
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from mothernets_jax.storage.files import user_cache_folder

# Compiler options of a GPU's programs that are not autotuned.
UNTUNED = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_command_buffer": ""}
# And of a CPU's programs that run a few times: without most of LLVM's passes. Emitters
# of fusions by MLIR are slow, too, but later versions have no other.
HASTY: dict[str, Any] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):
    HASTY["xla_cpu_use_fusion_emitters"] = False


class Program:
    """A program, compiled by the first thread that needs it.

    Attributes:
        name: the name of its function.
        seconds: time that tracing and compiling took; 0 until then.
        accounted: whether an `Executables` has counted these seconds.
    """

    def __init__(self, function: Callable, shapes: tuple, *, often_run: bool):
        """Describes the program; compiles nothing yet."""
        self.name = function.__name__
        self.seconds = 0.0
        self.accounted = False
        self._function, self._shapes = function, shapes
        self._often_run = often_run
        self._call: Callable | None = None
        self._lock = threading.Lock()

    def compiled(self) -> Callable:
        """Returns the compiled function; waits where another thread is compiling it."""
        with self._lock:
            if self._call is not None:
                return self._call
            with _TRACING:
                started = time.perf_counter()
                lowered = self._function.lower(*self._shapes)
                self.seconds = time.perf_counter() - started
            started = time.perf_counter()
            options = compiler_options(often_run=self._often_run)
            self._call = call = lowered.compile(options)
            self.seconds += time.perf_counter() - started
            return call


# Tracing holds the interpreter; compiling does not.
_TRACING = threading.Lock()


class ProgramStore:
    """Programs by function and shapes, each compiled once."""

    def __init__(self):
        """Makes an empty store; starts no thread yet."""
        cores = os.cpu_count() or 1
        threads = 1 if on_gpu() else max(1, cores - 1)
        self._pool = ThreadPoolExecutor(threads, "compile")
        self._programs: dict[Any, Program] = {}
        self._lock = threading.Lock()

    def program(
        self, function: Callable, *args: Any, often_run: bool = False
    ) -> Program:
        """The program of a jitted function for arguments of these shapes.

        Args:
            function: made by `jax.jit`; the same object for the same computation.
            args: example arguments, positional: arrays, or their shapes, in pytrees.
            often_run: whether the program runs more than a few times, and so is
                autotuned on a GPU; the same at every call for the same function.
        """
        leaves, structure = jax.tree.flatten(args)
        usual = {jax.local_devices()[0]}
        described = tuple(_describe(leaf, usual) for leaf in leaves)
        key = function, structure, described
        with self._lock:
            found = self._programs.get(key)
            if found is None:
                shapes = [
                    jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
                    for shape, dtype, sharding in described
                ]
                shapes = jax.tree.unflatten(structure, shapes)
                found = Program(function, shapes, often_run=often_run)
                self._programs[key] = found
            return found

    def prepare(self, function: Callable, *args: Any, often_run: bool = False) -> None:
        """Compiles a program in the background.

        Args:
            function: made by `jax.jit`; the same object for the same computation.
            args: example arguments, positional: arrays, or their shapes, in pytrees.
            often_run: whether the program runs more than a few times, and so is
                autotuned on a GPU; the same at every call for the same function.
        """
        program = self.program(function, *args, often_run=often_run)
        self._pool.submit(program.compiled)

    def finish(self) -> None:
        """Waits until every program that was asked for is compiled."""
        with self._lock:
            programs = list(self._programs.values())
        for program in programs:
            program.compiled()

    def close(self) -> None:
        """Cancels the compilations in the background that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def count(self, name: str) -> int:
        """Number of programs, so far, whose function has this name."""
        return sum(program.name == name for program in self._programs.values())


class Executables:
    """A view of a store of programs, with a meter of its own.

    Attributes:
        store: the store that holds the programs.
        seconds: time that it took, in whatever thread, to trace and compile the
            programs that were first asked for here.
        waited: time for which asking for programs has held up the caller, in seconds.
    """

    def __init__(self, store: ProgramStore | None = None):
        """Makes a view of a given store, or of a new one."""
        self.store = store or ProgramStore()
        self.seconds = 0.0
        self.waited = 0.0

    def get(self, function: Callable, *args: Any, often_run: bool = False) -> Callable:
        """Returns the compiled form of a jitted function, compiling it where needed.

        Args:
            function: made by `jax.jit`; the same object for the same computation.
            args: example arguments, positional: arrays, or their shapes, in pytrees.
            often_run: whether the program runs more than a few times, and so is
                autotuned on a GPU; the same at every call for the same function.
        """
        started = time.perf_counter()
        program = self.store.program(function, *args, often_run=often_run)
        call = program.compiled()
        self.waited += time.perf_counter() - started
        if not program.accounted:
            program.accounted = True
            self.seconds += program.seconds
        return call


def on_gpu() -> bool:
    """Tells whether programs are compiled for a GPU."""
    return jax.default_backend() == "gpu"


def compiler_options(*, often_run: bool) -> dict[str, Any] | None:
    """Compiler options of a program; None for the usual ones.

    Args:
        often_run: whether the program runs more than a few times. On a GPU other
            programs are not autotuned, which takes some 20 seconds for a VGG's
            convolutions; then cuDNN chooses at every run, which takes some 20 ms for
            each of them, and cannot be recorded in a CUDA graph. On a CPU others are
            compiled in a third of the time, and would take two or three times as long
            if they trained.
    """
    if often_run:
        return None
    return UNTUNED if on_gpu() else HASTY


def use_persistent_cache() -> None:
    """Keeps compiled programs in the user's cache folder, for later runs.

    Programs for a CPU hold its instructions, so that each kind of CPU has a folder.
    """
    folder = user_cache_folder() / "programs" / _processor()
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _processor() -> str:
    """Eight digits that differ where the processor's instructions do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        text = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        text = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {text}".encode()).hexdigest()[:8]


def _describe(leaf: Any, usual: set[Any]) -> tuple:
    """What of an argument decides the program: its shape, dtype and sharding.

    Args:
        leaf: an array, or its shape.
        usual: the device, in a set, on which everything is unless it was put elsewhere.
    """
    sharding = getattr(leaf, "sharding", None)
    if sharding is not None and sharding.device_set == usual:
        sharding = None
    return leaf.shape, leaf.dtype, sharding
