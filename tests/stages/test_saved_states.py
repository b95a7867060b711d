"""States are read as they were saved, by this version or by one before it."""

import chex
import jax
import jax.numpy as jnp
import pytest

from mothernets_jax.stages import saved_states
from mothernets_jax.storage import checkpoints
from mothernets_jax.training.member_step import MemberState


def state(scale, **opt_state):
    params = {"head": {"kernel": jnp.full((2, 3), scale)}}
    stats = {"norm": {"mean": jnp.full(2, scale)}}
    return MemberState(params, stats, opt_state or {"trace": jax.tree.map(sin, params)})


def sin(leaf):
    return jnp.sin(leaf)


def earlier(saved):
    """The same states, as they were saved when SGD was all there was."""
    return {
        name: {
            "params": own["params"],
            "batch_stats": own["batch_stats"],
            "momentum": own["opt_state"]["trace"],
        }
        for name, own in saved.items()
    }


STATES = {"a": state(1.0), "b": state(2.0)}
SAVED = saved_states.to_saved(STATES)


def shapes(tree):
    return jax.eval_shape(lambda: tree)


@pytest.mark.parametrize("saved", [SAVED, earlier(SAVED)], ids=["today", "earlier"])
def test_states_come_back_from_either_form(saved, tmp_path):
    chex.assert_trees_all_equal(saved_states.from_saved(saved), STATES)
    nested = {"now": saved, "good": saved}
    checkpoints.save(tmp_path, nested, {})
    expected = shapes({"now": SAVED, "good": SAVED})
    as_saved = saved_states.verify(tmp_path, expected)
    chex.assert_trees_all_equal(as_saved, shapes(nested))
    found = saved_states.read(tmp_path, as_saved)
    chex.assert_trees_all_equal(found, {"now": SAVED, "good": SAVED})


def test_an_earlier_save_is_no_other_optimisers(tmp_path):
    count, moment = jnp.zeros((), jnp.int32), STATES["a"].params
    adam = {"a": state(1.0, count=count, mu=moment, nu=moment)}
    checkpoints.save(tmp_path, earlier({"a": SAVED["a"]}), {})
    with pytest.raises(checkpoints.DamagedError, match="momentum.*unknown here"):
        saved_states.verify(tmp_path, shapes(saved_states.to_saved(adam)))


def test_an_earlier_save_of_other_shapes_is_refused(tmp_path):
    other = jax.tree.map(lambda leaf: leaf[:1], SAVED)
    checkpoints.save(tmp_path, earlier(other), {})
    with pytest.raises(checkpoints.DamagedError, match=r"float32 \(1,\) there"):
        saved_states.verify(tmp_path, shapes(SAVED))


def test_layers_may_have_the_names_of_a_states_parts():
    params = {"momentum": {"kernel": jnp.ones(2)}, "params": {"kernel": jnp.ones(3)}}
    params |= {"batch_stats": {"kernel": jnp.ones(4)}}
    named = MemberState(params, {}, {"trace": params})
    today = saved_states.to_saved({"a": named})
    for saved in (today, earlier(today)):
        chex.assert_trees_all_equal(saved_states.template(today, saved), saved)
        chex.assert_trees_all_equal(saved_states.from_saved(saved), {"a": named})


def test_nothing_is_lost_of_a_state_without_statistics(tmp_path):
    """Orbax says of an empty dict that it is there."""
    plain = {"a": STATES["a"]._replace(batch_stats={})}
    saved = earlier(saved_states.to_saved(plain))
    checkpoints.save(tmp_path, saved, {})
    as_saved = saved_states.verify(tmp_path, shapes(saved_states.to_saved(plain)))
    found = saved_states.from_saved(saved_states.read(tmp_path, as_saved))
    chex.assert_trees_all_equal(found, plain)
