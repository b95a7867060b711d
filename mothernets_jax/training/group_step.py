"""Train the members of one architecture together, some steps a call.

Members of a group share shapes, hence one compiled program; they may differ in all that
is traced: images and their order, keys, learning rates, weight decay. Three strategies
run them; they differ in speed only:

* `loop`: one after another, with the program of a single member.
* `unroll`: one program in which each step does every member in turn.
* `vmap`: one program over a stacked member axis; its convolutions become grouped ones.

Axes: everything here has a leading [members] axis.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from mothernets_jax.architectures import Architecture
from mothernets_jax.training.augment import Sides
from mothernets_jax.training.branching_step import GroupStep, make_branching_step
from mothernets_jax.training.losses import Distillation
from mothernets_jax.training.member_step import (
    Augmentation,
    MemberState,
    MemberStep,
    Metrics,
    StepInputs,
    TrainingData,
    epoch_order,
    make_member_step,
)
from mothernets_jax.utils.pytrees import stack, unstack

STRATEGIES = ("vmap", "unroll", "loop")
MEMBERS_AXIS, BATCH_AXIS = "members", "batch"


class GroupState(NamedTuple):
    """What training changes.

    Attributes:
        members: the members' states, leaves [members, ...].
        sums: each member's metrics [members], added up since they were last zero.
    """

    members: MemberState
    sums: Metrics


class StepsInputs(NamedTuple):
    """What an epoch's steps need, for each member and step.

    Attributes:
        indices: int32 [members, steps, batch], which examples.
        keys: [members, steps], for the augmentation.
        learning_rates: [members, steps].
        weight_decay: [members].
        label_smoothing: [members].
        sides: leaves [members].
        active: bool [members]; others are left as they were, bit for bit.
    """

    indices: jax.Array
    keys: jax.Array
    learning_rates: jax.Array
    weight_decay: jax.Array
    label_smoothing: jax.Array
    sides: Sides
    active: jax.Array

    def at(self, step: jax.Array) -> StepInputs:
        """One step's inputs, leaves [members, ...]."""
        now = (self.indices[:, step], self.keys[:, step], self.learning_rates[:, step])
        return StepInputs(
            *now, self.weight_decay, self.label_smoothing, self.sides, self.active
        )


# (state, data, inputs, first step, one past the last) -> state; both steps are traced.
StepsFunction = Callable[..., GroupState]


def make_steps(
    architecture: Architecture,
    augmentation: Augmentation,
    strategy: str,
    dtype: jax.typing.DTypeLike | None = None,
    mesh: Mesh | None = None,
    *,
    divided_data: bool = False,
    distillation: Distillation | None = None,
    branches_at: int = 0,
) -> StepsFunction:
    """A jitted function that trains a group for some steps of an epoch.

    It takes (state, data, inputs, first, stop): a `GroupState` (donated),
    `TrainingData`, `StepsInputs` and two int32 scalars, and does the steps from `first`
    up to `stop`. How an epoch is divided into calls changes no bit of the result. With
    `loop` it is to be called for one member at a time.

    Args:
        architecture: of every member.
        augmentation: how images are varied.
        strategy: one of `STRATEGIES`.
        dtype: in which hidden layers compute; None for that of the variables.
        mesh: with axes `MEMBERS_AXIS` and `BATCH_AXIS`, to divide members and batches
            among several devices; both sizes must divide theirs. None for one device.
        divided_data: whether images and labels are divided as batches are, so that a
            device's indices are places in its own part of them.
        distillation: as for `member_step.make_member_step`.
        branches_at: see `stage.Stage`.
    """
    # However it is called, the same function for the same computation.
    return _make_steps(
        architecture,
        augmentation,
        strategy,
        dtype,
        mesh,
        divided_data,
        distillation,
        branches_at,
    )


@functools.cache
def _make_steps(
    architecture: Architecture,
    augmentation: Augmentation,
    strategy: str,
    dtype: jax.typing.DTypeLike | None,
    mesh: Mesh | None,
    divided_data: bool,
    distillation: Distillation | None,
    branches_at: int,
) -> StepsFunction:
    options: Any = {"dtype": dtype}
    options["batch_axis"] = BATCH_AXIS if mesh is not None else None
    if branches_at:
        step = make_branching_step(
            architecture,
            augmentation,
            branches_at,
            vmapped=strategy == "vmap",
            **options,
        )
    else:
        member_step = make_member_step(
            architecture, augmentation, distillation=distillation, **options
        )
        step = _vmapped(member_step) if strategy == "vmap" else _unrolled(member_step)

    def train_steps(state, data, inputs, first, stop):
        def body(i, state):
            members, metrics = step(state.members, data, inputs.at(i))
            return GroupState(members, jax.tree.map(jnp.add, state.sums, metrics))

        return jax.lax.fori_loop(first, stop, body, state)

    if mesh is not None:
        by_member, same = P(MEMBERS_AXIS), P()
        examples = P(BATCH_AXIS) if divided_data else same
        train_steps = jax.shard_map(
            train_steps,
            mesh=mesh,
            in_specs=(
                by_member,
                TrainingData(examples, examples, same, same, same, same),  # type: ignore[arg-type]
                by_member,
                same,
                same,
            ),
            out_specs=by_member,
        )
    return jax.jit(train_steps, donate_argnums=0)


def _unrolled(member_step: MemberStep) -> GroupStep:
    def step(states, data, inputs):
        members = inputs.active.shape[0]
        each = zip(unstack(states, members), unstack(inputs, members), strict=True)
        return stack([member_step(state, data, own) for state, own in each])

    return step


def _vmapped(member_step: MemberStep) -> GroupStep:
    """All members in one operation each.

    Where the gradient is taken decides which convolution computes a kernel's gradient:
    inside the member axis, one of `feature_group_count = members`, the faster on the
    CPU; outside, one of `batch_group_count = members`, which XLA turns into cuDNN's.
    """
    if jax.default_backend() == "cpu":
        return jax.vmap(member_step, in_axes=(0, None, 0))

    def step(states, data, inputs):
        def total_loss(params):
            losses, forward = jax.vmap(member_step.loss, in_axes=(0, 0, None, 0))(
                params, states.batch_stats, data, inputs
            )
            return losses.sum(), forward

        grads, forward = jax.grad(total_loss, has_aux=True)(states.params)
        states = jax.vmap(member_step.update)(states, grads, forward, inputs)
        return states, forward.metrics

    return step


def new_group(states: Sequence[MemberState]) -> GroupState:
    """The members' states side by side, their metrics at zero."""
    members = stack(states)
    dtype = jax.tree.leaves(members.params)[0].dtype
    sums = Metrics(*(jnp.zeros(len(states), dtype) for _ in Metrics._fields))
    return GroupState(members, sums)


def without_sums(group: GroupState) -> GroupState:
    """The group with its metrics at zero."""
    return group._replace(sums=jax.tree.map(jnp.zeros_like, group.sums))


@functools.cache
def make_bags(examples: int) -> Callable[..., jax.Array]:
    """A jitted function: keys [members], indices [members, ...] -> those of bags.

    A member's bag has as many images as there are, drawn with replacement; an index is
    a place in it.

    References: Breiman 1996, "Bagging predictors".
    """

    def draw(key, indices):
        return jax.random.randint(key, (examples,), 0, examples)[indices]

    return jax.jit(jax.vmap(draw))


@functools.cache
def make_orders(examples: int, batch_size: int) -> Callable[..., tuple]:
    """A jitted function: keys [members] -> `epoch_order` of each, side by side."""
    return jax.jit(
        jax.vmap(lambda key: epoch_order(key, examples, batch_size)),
    )
