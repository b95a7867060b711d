"""Compile ahead of time, once a shape, and know what it cost."""

import time
from collections.abc import Callable
from typing import Any

import jax


class Executables:
    """The programs of a run, compiled as they are first needed.

    Attributes:
        seconds: spent tracing and compiling so far.
        count: number of programs compiled so far.
    """

    def __init__(self):
        self.seconds = 0.0
        self.count = 0
        self._programs: dict[Any, Callable] = {}

    def get(self, function: Callable, *args: Any) -> Callable:
        """The compiled form of a jitted function for arguments of these shapes.

        Args:
            function: made by `jax.jit`; the same object for the same computation.
            args: example arguments, positional, arrays or shapes in pytrees.
        """
        shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), args)
        leaves, structure = jax.tree.flatten(shapes)
        key = (function, structure, tuple(map(str, leaves)))
        if key not in self._programs:
            started = time.perf_counter()
            self._programs[key] = function.lower(*args).compile()
            self.seconds += time.perf_counter() - started
            self.count += 1
        return self._programs[key]
