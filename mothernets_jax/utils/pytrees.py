"""Pytrees and keys: stack and unstack members, derive keys from names."""

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Trees of the same structure and shapes as one with a leading member axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: PyTree, members: int) -> tuple[PyTree, ...]:
    """The inverse of `stack`.

    Args:
        tree: each leaf [members, ...].
        members: how many trees were stacked.
    """
    return tuple(jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(members))


def named_key(key: jax.Array, *names: str) -> jax.Array:
    """A key derived from names, never from an order of calls.

    So the same member draws the same numbers however members are grouped, whatever
    strategy runs them, and whether or not the run was interrupted.

    Args:
        key: a typed key from `jax.random.key`.
        names: such as a method, a member and a purpose.
    """
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return key
