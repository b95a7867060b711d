"""Programs are compiled once a shape, in the background if asked, and accounted for."""

import os
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.runtime import compilation
from mothernets_jax.runtime.compilation import Executables, ProgramStore


@jax.jit
def double(tree):
    return jax.tree.map(lambda leaf: 2 * leaf, tree)


@jax.jit
def half(tree):
    return jax.tree.map(lambda leaf: leaf / 2, tree)


def test_other_shapes_are_other_programs():
    executables = Executables()
    store = executables.store
    four, five = jnp.arange(4.0), jnp.arange(5.0)
    program = executables.get(double, {"a": four})
    np.testing.assert_array_equal(program({"a": four})["a"], [0, 2, 4, 6])
    assert executables.get(double, {"a": four + 1}) is program
    assert store.count("double") == 1
    for count, args in enumerate(
        [{"a": five}, {"a": four.astype(jnp.int32)}, {"b": four}], start=2
    ):
        assert executables.get(double, args) is not program
        assert store.count("double") == count
    executables.get(half, {"a": four})
    assert (store.count("double"), store.count("half")) == (4, 1)


def test_what_was_prepared_is_not_compiled_again():
    store = ProgramStore()
    shapes = {"a": jax.ShapeDtypeStruct((3,), jnp.float32)}
    store.prepare(double, shapes)
    executables = Executables(store)
    program = executables.get(double, {"a": jnp.ones(3)})
    np.testing.assert_array_equal(program({"a": jnp.ones(3)})["a"], [2, 2, 2])
    assert store.count("double") == 1
    store.close()


def test_compile_seconds_count_once_and_waiting_where_it_is_done():
    store, args = ProgramStore(), {"a": jnp.ones(7)}
    store.prepare(double, args)
    first, second = Executables(store), Executables(store)
    first.get(double, args)
    second.get(double, args)
    assert first.seconds == store.program(double, args).seconds > 0
    assert second.seconds == 0
    assert 0 <= second.waited < first.seconds
    store.close()


def test_threads_that_ask_at_once_get_one_program():
    store, args = ProgramStore(), {"a": jnp.ones(9)}
    found, barrier = [], threading.Barrier(4)

    def ask():
        barrier.wait()
        found.append(Executables(store).get(double, args))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_an_error_in_the_background_is_raised_where_the_program_is_needed():
    @jax.jit
    def wrong(x):
        raise ValueError("cannot be traced")

    store = ProgramStore()
    store.prepare(wrong, jnp.ones(2))
    with pytest.raises(ValueError, match="cannot be traced"):
        Executables(store).get(wrong, jnp.ones(2))
    store.close()


class Recorded:
    """Stands for a jitted function: notes the options, and how many compile at once."""

    __name__ = "recorded"

    def __init__(self):
        self.options, self.most_at_once = [], 0
        self._compiling, self._lock = 0, threading.Lock()

    def lower(self, *args):
        return self

    def compile(self, options):
        with self._lock:
            self._compiling += 1
            self.most_at_once = max(self.most_at_once, self._compiling)
            self.options.append(options)
        time.sleep(0.01)
        with self._lock:
            self._compiling -= 1
        return lambda *args: None


@pytest.mark.parametrize("on_gpu", [False, True])
def test_on_a_gpu_one_at_a_time_and_in_haste_what_runs_seldom(monkeypatch, on_gpu):
    monkeypatch.setattr(compilation, "on_gpu", lambda: on_gpu)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    function, store = Recorded(), ProgramStore()
    shapes = [jnp.ones(size) for size in range(1, 9)]
    for shape in shapes:
        store.prepare(function, shape, often_run=len(shape) % 2 == 0)
    programs = [store.program(function, shape) for shape in shapes]
    while not all(program.seconds for program in programs):  # until all have begun
        time.sleep(0.01)
    for program in programs:
        program.compiled()
    store.close()
    assert function.most_at_once <= (1 if on_gpu else 4)
    assert function.options.count(None) == 4
    seldom = [options for options in function.options if options is not None]
    assert len(seldom) == 4
    expected = "xla_gpu_autotune_level" if on_gpu else "xla_backend_optimization_level"
    assert all(options[expected] == 0 for options in seldom)


def test_this_jax_knows_the_options_of_gpus(monkeypatch):
    monkeypatch.setattr(compilation, "on_gpu", lambda: True)
    args = {"a": jnp.arange(3.0)}
    program = Executables().get(double, args)
    np.testing.assert_array_equal(program(args)["a"], [0, 2, 4])
