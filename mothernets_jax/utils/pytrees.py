"""Pytrees and keys: stack and unstack members, derive keys from names."""

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Stacks trees of the same structure and shapes along a new leading member axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: PyTree, members: int) -> tuple[PyTree, ...]:
    """Takes a stacked tree apart into its members' trees; the inverse of `stack`.

    Args:
        tree: stacked arrays, each leaf [members, ...].
        members: number of trees that were stacked.
    """
    return tuple(jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(members))


def named_key(key: jax.Array, *names: str) -> jax.Array:
    """A key derived from names, never from an order of calls.

    So the same member draws the same numbers however members are grouped, whatever
    strategy runs them, and whether or not the run was interrupted.

    Args:
        key: a typed key from `jax.random.key`.
        names: words for what the key is for, such as a method, a member and a purpose.
    """
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return key
