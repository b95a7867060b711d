"""Stacking, and keys from names."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.utils.pytrees import named_key, stack, unstack


def tree(offset: int):
    return {
        "kernel": jnp.arange(6.0).reshape(2, 3) + offset,
        "nested": ({"scalar": jnp.array(offset)}, [jnp.array([True, offset > 1])]),
        "empty": {},
    }


@pytest.mark.parametrize("members", [1, 3])
def test_stack_and_unstack_are_inverses(members):
    trees = tuple(tree(i) for i in range(members))
    stacked = stack(trees)
    assert stacked["kernel"].shape == (members, 2, 3)
    assert stacked["nested"][0]["scalar"].tolist() == list(range(members))
    chex.assert_trees_all_equal(unstack(stacked, members), trees)
    chex.assert_trees_all_equal(stack(unstack(stacked, members)), stacked)
    leaves = zip(*map(jax.tree.leaves, (stacked, trees[0])), strict=True)
    assert all(many.dtype == one.dtype for many, one in leaves)


def test_stack_refuses_trees_of_different_shapes():
    with pytest.raises(ValueError, match="shape"):
        stack([{"a": jnp.zeros(2)}, {"a": jnp.zeros(3)}])


def bits(key) -> tuple:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_named_keys_depend_on_names_alone():
    key = jax.random.key(3)
    names = ["V13", "V16", "data", "noise", "", "V16 ", "Größe"]
    found = {name: bits(named_key(key, name)) for name in names}
    assert found == {name: bits(named_key(key, name)) for name in reversed(names)}
    assert len(set(found.values())) == len(names)
    assert bits(named_key(key)) == bits(key)
    assert bits(named_key(jax.random.key(4), "V13")) != found["V13"]


def test_named_keys_form_a_path():
    key = jax.random.key(0)
    path = bits(named_key(key, "mothernets", "V13", "noise"))
    assert path == bits(named_key(named_key(key, "mothernets"), "V13", "noise"))
    for other in [
        ("V13", "mothernets", "noise"),
        ("mothernets", "V13noise"),
        ("mothernets", "V13"),
        ("mothernetsV13noise",),
    ]:
        assert path != bits(named_key(key, *other))


def test_named_key_can_be_traced():
    traced = jax.jit(lambda key: named_key(key, "V13", "noise"))(jax.random.key(0))
    assert bits(traced) == bits(named_key(jax.random.key(0), "V13", "noise"))
