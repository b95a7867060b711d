"""Members that branch from one trunk, stepped together.

The first operations are the same for all members and are done once, on one batch; then
every member goes on by itself. The members' states stay whole, so that a member is a
network like any other; their trunks are equal at all times, bit for bit.

The loss of a member trains its branch as it would train a network of its own; the trunk
learns from the mean of the members' losses, so that its learning rate is that of one
network, too.

Axes: everything of the group has a leading [members] axis.

References: Lee et al. 2015, "Why M heads are better than one".
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.models.apply import apply_and_update
from mothernets_jax.training.losses import accuracy, over_labels
from mothernets_jax.training.member_step import (
    Forward,
    Metrics,
    draw,
    make_targets,
    make_update,
)
from mothernets_jax.training.step_spec import GroupStep, StepSpec
from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.pytrees import stack, unstack


@dataclasses.dataclass(frozen=True)
class SharedTrunk:
    """Members that branch from one trunk; see `step_spec.Coupling`.

    Attributes:
        shared_operations: number of operations that are shared, above 0.
    """

    shared_operations: int

    @property
    def tied(self) -> bool:
        """True, as every member's loss trains the trunk."""
        return True

    def group_step(
        self, spec: StepSpec, *, vmapped: bool, batch_axis: str | None
    ) -> GroupStep:
        """The step of a group with one trunk; see `make_branching_step`."""
        return make_branching_step(
            spec, self.shared_operations, vmapped=vmapped, batch_axis=batch_axis
        )


def first_of_branches(architecture: Architecture, sections: int) -> int:
    """The number, from 0, of the first operation behind a network's first sections.

    Args:
        architecture: the network.
        sections: number of blocks or stages that are shared; of a network that has only
            one, such as an MLP, its first unit is shared.

    Raises:
        ValueError: more sections than leave one to the branches.
    """
    names = [operation.name for operation in architecture.operations()]
    of_sections = [units for units in architecture.unit_names if units]
    units = [unit for units in of_sections for unit in units]
    if 1 < len(of_sections) <= sections:
        raise ArgumentError(
            Argument("sections"),
            f" is {sections}, but {architecture} has {len(of_sections)} blocks: "
            "expected fewer, so that some branch",
        )
    if len(of_sections) > sections:
        first = of_sections[sections][0]
    else:
        first = units[1] if len(units) > 1 else names[-1]
    return next(i for i, name in enumerate(names) if name.startswith(first))


def make_branching_step(
    spec: StepSpec, branches_at: int, *, vmapped: bool, batch_axis: str | None = None
) -> GroupStep:
    """Makes the step that trains all members on one batch, that of the first.

    Args:
        spec: description of the step.
        branches_at: number, from 0, of the first operation that is not shared.
        vmapped: whether each operation is done for all branches at once, or the
            branches are done in turn.
        batch_axis: name of the mapped axis over which each batch is divided; None where
            it is not.
    """
    architecture = spec.architecture
    options = {"dtype": spec.dtype, "batch_axis": batch_axis}
    update = make_update(spec)

    def branch_loss(params, batch_stats, batch, inputs):
        features, targets = batch
        variables = {"params": params, "batch_stats": batch_stats}
        logits, stats = apply_and_update(
            architecture, variables, features, first=branches_at, **options
        )
        targets = targets._replace(label_smoothing=inputs.label_smoothing)
        losses = over_labels(functools.partial(spec.loss, logits), targets)
        return losses.mean(), Forward(
            Metrics(losses.mean(), accuracy(logits, targets)), stats
        )

    def branch_losses(params, batch_stats, batch, inputs):
        if vmapped:
            mapped = jax.vmap(branch_loss, in_axes=(0, 0, None, 0))
            return mapped(params, batch_stats, batch, inputs)
        members = inputs.active.shape[0]
        each = zip(
            *(unstack(tree, members) for tree in (params, batch_stats, inputs)),
            strict=True,
        )
        return stack([branch_loss(p, s, batch, i) for p, s, i in each])

    def step(states, data, inputs):
        members = inputs.active.shape[0]
        first_inputs = jax.tree.map(lambda leaf: leaf[0], inputs)
        drawn = draw(data, first_inputs, spec.augmentation, batch_axis)
        targets = make_targets(spec, data, drawn, first_inputs)

        def loss(params):
            if batch_axis is not None:  # see `member_step.make_member_step`
                params = jax.lax.pcast(params, batch_axis, to="varying")
            trunk = {
                "params": jax.tree.map(lambda leaf: leaf[0], params),
                "batch_stats": jax.tree.map(lambda leaf: leaf[0], states.batch_stats),
            }
            features, trunk_stats = apply_and_update(
                architecture, trunk, drawn.images, stop=branches_at, **options
            )
            # The same value, bit for bit, but 1 / members of the gradient.
            fixed = jax.lax.stop_gradient(features)
            features = fixed + (features - fixed) / members
            batch = features, targets
            losses, forward = branch_losses(params, states.batch_stats, batch, inputs)
            if batch_axis is not None:
                losses, metrics = jax.lax.pmean((losses, forward.metrics), batch_axis)
                forward = forward._replace(metrics=metrics)
            return losses.sum(), (forward, trunk_stats)

        grads, (forward, trunk_stats) = jax.grad(loss, has_aux=True)(states.params)
        stats = dict(forward.batch_stats)
        grads = dict(grads)
        for name in shared_layers(architecture, branches_at) & grads.keys():
            # They are those of the first member, on whose variables the trunk ran.
            grads[name] = jax.tree.map(
                lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), grads[name]
            )
            if name in trunk_stats:
                stats[name] = jax.tree.map(
                    lambda leaf: jnp.broadcast_to(leaf, (members, *leaf.shape)),
                    trunk_stats[name],
                )
        forward = forward._replace(batch_stats=stats)
        return jax.vmap(update)(states, grads, forward, inputs), forward.metrics

    return step


def shared_layers(architecture: Architecture, branches_at: int) -> set[str]:
    """Names of the operations of the trunk."""
    operations = list(architecture.operations())[:branches_at]
    return {operation.name for operation in operations}
