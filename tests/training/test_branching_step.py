"""Members that branch from one trunk, against each network's own gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import OPTIMIZER, plain_spec

from mothernets_jax.architectures import parse
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.models.variables import init
from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.branching_step import (
    SharedTrunk,
    first_of_branches,
    shared_layers,
)
from mothernets_jax.training.member_step import (
    MemberState,
    StepInputs,
    TrainingData,
    make_member_step,
    new_state,
)
from mothernets_jax.utils.pytrees import stack, unstack

NETWORK = parse("vgg (3:4)x2 | (3:6) | (3:6); dense 5; batch_norm")
SMALL = parse("vgg (3:3) | (3:4); batch_norm")  # which compiles faster
MEMBERS, SHAPE, CLASSES, BATCH = 3, (8, 8, 2), 3, 12


def test_where_branches_begin():
    def names(notation, sections):
        network = parse(notation)
        cut = first_of_branches(network, sections)
        operations = list(network.operations())
        return operations[cut - 1].name, operations[cut].name

    vgg = str(NETWORK)
    assert names(vgg, 1)[1] == "block2_conv1"
    assert names(vgg, 2)[1] == "block3_conv1"
    assert names("mlp 4 5 6", 1) == ("dense1_relu", "dense2")
    assert names("mlp 4", 1)[1] == "head"
    with pytest.raises(ValueError, match="^sections is 4, but vgg .* has 4 blocks"):
        first_of_branches(NETWORK, 4)
    before, first = names("resnet 4 (3:4) | 8 (3:4)", 1)
    assert before.startswith("stage1") and first.startswith("stage2")
    _, first = names("densenet (3:4) | (3:4); stem 4; transitions 6", 1)
    assert first.startswith("block2")


@pytest.fixture
def problem(seed):
    rng = np.random.default_rng(seed)
    data = TrainingData(
        jnp.asarray(rng.integers(0, 256, (40, *SHAPE), np.uint8)),
        jnp.asarray(rng.integers(0, CLASSES, 40, np.int32)),
        jnp.full(SHAPE[-1:], 127.0),
        jnp.full(SHAPE[-1:], 70.0),
    )
    inputs = StepInputs(
        jnp.asarray(rng.permutation(40)[:BATCH], jnp.int32),
        jax.random.key(seed),
        jnp.float32(0.1),
        jnp.float32(1e-2),
        jnp.float32(0.1),
        FlipState(jax.random.key(seed + 1), jnp.int32(0)),
        jnp.bool_(True),
    )
    keys = jax.random.split(jax.random.key(seed), MEMBERS)
    starts = [init(SMALL, key, SHAPE, CLASSES) for key in keys]
    cut = first_of_branches(SMALL, 1)
    trunk = shared_layers(SMALL, cut)
    for start in starts[1:]:
        own = {k: v for k, v in start["params"].items() if k not in trunk}
        start["params"] = starts[0]["params"] | own
    return data, inputs, [new_state(start, OPTIMIZER) for start in starts], cut, trunk


@pytest.mark.parametrize("vmapped", [False, True], ids=["unrolled", "vmapped"])
def test_branches_learn_alone_and_the_trunk_from_their_mean(problem, vmapped):
    data, inputs, states, cut, trunk = problem
    spec = plain_spec(SMALL, coupling=SharedTrunk(cut))
    step = jax.jit(spec.coupling.group_step(spec, vmapped=vmapped, batch_axis=None))
    # Only the first one's batch counts.
    others = inputs._replace(indices=inputs.indices[::-1])
    found, metrics = step(stack(states), data, stack([inputs, others, others]))
    alone = jax.jit(make_member_step(plain_spec(SMALL)))
    each = [alone(state, data, inputs) for state in states]
    mean = jax.tree.map(
        lambda *leaves: sum(leaves) / MEMBERS, *(state for state, _ in each)
    )
    for i, member in enumerate(unstack(found, MEMBERS)):
        expected = each[i][0]
        trees = [
            (state.params, state.batch_stats, state.opt_state["trace"])
            for state in (member, expected, mean)
        ]
        for tree, own, common in zip(*trees, strict=True):
            for layer in own:
                true = common[layer] if layer in trunk else own[layer]
                jax.tree.map(
                    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6),
                    tree[layer],
                    true,
                )
        np.testing.assert_allclose(metrics.loss[i], each[i][1].loss, rtol=1e-5)
        assert metrics.accuracy[i] == each[i][1].accuracy
    # The control: members' own steps move the trunk apart; here all trunks are equal.
    assert isinstance(found, MemberState)
    for layer in trunk & found.params.keys():
        for kept, *others in (list(leaf) for leaf in found.params[layer].values()):
            for other in others:
                np.testing.assert_array_equal(kept, other)
    moved = [state.params["block1_conv1"]["kernel"] for state, _ in each]
    assert np.abs(moved[0] - moved[1]).max() > 1e-5


def test_costs_of_a_part_add_up():
    cut = first_of_branches(NETWORK, 1)
    whole = train_flops(NETWORK, SHAPE, CLASSES)
    trunk = train_flops(NETWORK, SHAPE, CLASSES, stop=cut)
    # 6 x 64 pixels x 9 taps x (2 x 4 + 4 x 4) channels.
    assert trunk == 6 * 64 * 9 * 24
    assert whole == trunk + train_flops(NETWORK, SHAPE, CLASSES, first=cut)
