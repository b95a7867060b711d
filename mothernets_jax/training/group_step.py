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

from mothernets_jax.training.member_step import MemberState, Metrics, TrainingData
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.pytrees import stack, unstack

STRATEGIES = ("vmap", "unroll", "loop")
MEMBERS_AXIS, BATCH_AXIS = "members", "batch"


class GroupState(NamedTuple):
    """The state of a group: all that training changes.

    Attributes:
        members: the members' states, leaves [members, ...].
        sums: each member's metrics [members], added up since they were last zero.
    """

    members: MemberState
    sums: Metrics


# (state, data, inputs, first step, one past the last) -> state; both steps are traced.
StepsFunction = Callable[..., GroupState]


def make_steps(
    spec: StepSpec,
    strategy: str,
    mesh: Mesh | None = None,
    *,
    divided_data: bool = False,
) -> StepsFunction:
    """Makes a jitted function that trains a group for some steps of an epoch.

    The function takes (state, data, inputs, first, stop): a `GroupState` (donated),
    `TrainingData`, `EpochInputs` and two int32 scalars, and does the steps from `first`
    up to `stop`. How an epoch is divided into calls changes no bit of the result. With
    `loop` it is to be called for one member at a time. Equal arguments give the same
    function, hence the same compiled program.

    Args:
        spec: description of the step.
        strategy: one of `STRATEGIES`.
        mesh: mesh with the axes `MEMBERS_AXIS` and `BATCH_AXIS`, among whose devices
            members and batches are divided; the axes' sizes must divide the numbers of
            members and of images of a batch. None for one device.
        divided_data: whether images and labels are divided as batches are, so that a
            device's indices are places in its own part of them.
    """
    # However it is called, the same function for the same computation.
    return _make_steps(spec, strategy, mesh, divided_data)


@functools.cache
def _make_steps(
    spec: StepSpec, strategy: str, mesh: Mesh | None, divided_data: bool
) -> StepsFunction:
    step = spec.coupling.group_step(
        spec,
        vmapped=strategy == "vmap",
        batch_axis=BATCH_AXIS if mesh is not None else None,
    )

    def train_steps(state, data, inputs, first, stop):
        def body(i, state):
            members, metrics = step(state.members, data, inputs.at(i))
            return GroupState(members, jax.tree.map(jnp.add, state.sums, metrics))

        return jax.lax.fori_loop(first, stop, body, state)

    train_steps = on_mesh(train_steps, mesh, divided_data=divided_data)
    return jax.jit(train_steps, donate_argnums=0)


def on_mesh(
    steps: Callable[..., Any], mesh: Mesh | None, *, divided_data: bool
) -> Callable[..., Any]:
    """Divides some steps of a group among the devices of a mesh.

    Args:
        steps: a function of (state, data, inputs, first step, one past the last), of
            which state, inputs and result have a leading [members] axis.
        mesh: mesh with the axes `MEMBERS_AXIS` and `BATCH_AXIS`; None for one device.
        divided_data: whether images and labels are divided as batches are.
    """
    if mesh is None:
        return steps
    by_member, same = P(MEMBERS_AXIS), P()
    examples = P(BATCH_AXIS) if divided_data else same
    data = TrainingData(examples, examples, same, same, same, same)  # type: ignore[arg-type]
    return jax.shard_map(
        steps,
        mesh=mesh,
        in_specs=(by_member, data, by_member, same, same),
        out_specs=by_member,
    )


@jax.jit
def new_group(states: Sequence[MemberState]) -> GroupState:
    """A group of members, their states stacked and their metrics at zero."""
    members = stack(states)
    dtype = jax.tree.leaves(members.params)[0].dtype
    sums = Metrics(*(jnp.zeros(len(states), dtype) for _ in Metrics._fields))
    return GroupState(members, sums)


@jax.jit
def take_apart(members: MemberState) -> tuple[MemberState, ...]:
    """The states of a group's members, each by itself."""
    return unstack(members, len(jax.tree.leaves(members)[0]))
