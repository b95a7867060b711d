"""Members that have nothing in common but their shapes, stepped in one program.

Axes: everything of a group has a leading [members] axis.
"""

import dataclasses

import jax

from mothernets_jax.training.member_step import MemberStep, make_member_step
from mothernets_jax.training.step_spec import GroupStep, StepSpec
from mothernets_jax.utils.pytrees import stack, unstack


@dataclasses.dataclass(frozen=True)
class Independent:
    """Members that never talk to one another; see `step_spec.Coupling`."""

    @property
    def shared_operations(self) -> int:
        """0, as each member has operations of its own."""
        return 0

    @property
    def tied(self) -> bool:
        """False, as a member may train or stop without the others."""
        return False

    def group_step(
        self, spec: StepSpec, *, vmapped: bool, batch_axis: str | None
    ) -> GroupStep:
        """The step of a group, in which every member takes a step of its own."""
        member_step = make_member_step(spec, batch_axis=batch_axis)
        return _vmapped(member_step) if vmapped else _unrolled(member_step)


def _unrolled(member_step: MemberStep) -> GroupStep:
    def step(states, data, inputs):
        members = inputs.active.shape[0]
        each = zip(unstack(states, members), unstack(inputs, members), strict=True)
        return stack([member_step(state, data, own) for state, own in each])

    return step


def _vmapped(member_step: MemberStep) -> GroupStep:
    """The step of a group, with each operation done for all members at once.

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
