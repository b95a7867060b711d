"""Batch statistics of parameters that no step of training has seen, such as averages.

Axes: everything of a group has a leading [members] axis.

References: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better
Generalization", section 3.2.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from mothernets_jax.models.apply import apply_and_update
from mothernets_jax.models.layers import STATISTICS_DECAY
from mothernets_jax.training.group_step import BATCH_AXIS, on_mesh
from mothernets_jax.training.member_step import draw
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.pytrees import stack, unstack


@functools.cache
def make_statistics(
    spec: StepSpec,
    strategy: str,
    mesh: Mesh | None = None,
    *,
    divided_data: bool = False,
) -> Callable[..., dict]:
    """Makes a jitted function that adds up the batch statistics of some steps.

    The function takes (state, data, inputs, first, stop) like that of
    `group_step.make_steps`, with {"params": parameters, "sums": sums of the steps so
    far, like `batch_stats`} as its state, and returns the state with the statistics of
    the steps from `first` up to `stop` added. Batches are augmented as in training.

    Args:
        spec: description of the training step.
        strategy: one of `group_step.STRATEGIES`.
        mesh: mesh among whose devices members and batches are divided; None for one
            device.
        divided_data: whether images and labels are divided as batches are.
    """
    batch_axis = BATCH_AXIS if mesh is not None else None

    def of_batch(params, zeros, data, inputs):
        batch = draw(data, inputs, spec.augmentation, batch_axis)
        variables = {"params": params, "batch_stats": zeros}
        _, decayed = apply_and_update(
            spec.architecture,
            variables,
            batch.images,
            dtype=spec.dtype,
            batch_axis=batch_axis,
        )
        return jax.tree.map(lambda s: s / (1 - STATISTICS_DECAY), decayed)

    def of_batches(params, zeros, data, inputs):
        if strategy == "vmap":
            mapped = jax.vmap(of_batch, in_axes=(0, 0, None, 0))
            return mapped(params, zeros, data, inputs)
        members = inputs.active.shape[0]
        own = zip(
            *(unstack(tree, members) for tree in (params, zeros, inputs)), strict=True
        )
        return stack([of_batch(p, z, data, i) for p, z, i in own])

    def add_steps(state, data, inputs, first, stop):
        zeros = jax.tree.map(jnp.zeros_like, state["sums"])

        def body(i: Any, sums: Any) -> Any:
            found = of_batches(state["params"], zeros, data, inputs.at(i))
            return jax.tree.map(jnp.add, sums, found)

        sums = jax.lax.fori_loop(first, stop, body, state["sums"])
        return {"params": state["params"], "sums": sums}

    return jax.jit(on_mesh(add_steps, mesh, divided_data=divided_data))
