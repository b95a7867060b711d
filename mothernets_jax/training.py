"""One member's training step, and an epoch of it.

Axes: [batch, height, width, channels] for images; a data set has `examples`, an epoch
`steps`. Everything here is pure; a member knows nothing of the others.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mothernets_jax import augment
from mothernets_jax.architectures import Architecture
from mothernets_jax.models import Variables, apply_and_update
from mothernets_jax.optim import sgd


class MemberState(NamedTuple):
    """All that training changes; arrays only, so that members can be stacked."""

    params: dict
    batch_stats: dict
    optimiser: optax.OptState

    @property
    def variables(self) -> Variables:
        """What `models.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


class TrainingData(NamedTuple):
    """The training split on a device.

    Attributes:
        images: uint8 [examples, height, width, channels], padded for crops.
        labels: int32 [examples].
        mean: [channels], pixel units; its dtype is that of the computation.
        std: [channels], pixel units.
    """

    images: jax.Array
    labels: jax.Array
    mean: jax.Array
    std: jax.Array


class Augmentation(NamedTuple):
    """How images are varied; static."""

    crop_padding: int
    flip: bool


class Metrics(NamedTuple):
    """Means over the images of a step or of an epoch."""

    loss: jax.Array
    accuracy: jax.Array


# (state, data, indices [batch], key, learning rate, weight decay) -> (state, metrics)
MemberStep = Callable[..., tuple[MemberState, Metrics]]


def new_state(variables: Variables) -> MemberState:
    """A state that starts from these variables, with copies of their arrays."""
    params, batch_stats = jax.tree.map(
        jnp.array, (variables["params"], variables["batch_stats"])
    )
    return MemberState(params, batch_stats, sgd(0.0, 0.0).init(params))


def make_member_step(
    architecture: Architecture, augmentation: Augmentation
) -> MemberStep:
    """A function that trains one member on one batch.

    It takes (state, data, indices [batch], key, learning_rate, weight_decay) and
    returns the new state and the batch's metrics before the step.
    """

    def step(state, data, indices, key, learning_rate, weight_decay):
        images = augment.draw_batch(key, data.images, indices, **augmentation._asdict())
        images = augment.normalise(images, data.mean, data.std)
        labels = data.labels[indices]

        def loss_of(params):
            variables = {"params": params, "batch_stats": state.batch_stats}
            logits, stats = apply_and_update(architecture, variables, images)
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            accuracy = (logits.argmax(-1) == labels).mean(dtype=logits.dtype)
            return loss.mean(), (accuracy, stats)

        grad_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (accuracy, stats)), grads = grad_of(state.params)
        optimiser = sgd(learning_rate, weight_decay)
        updates, optimiser_state = optimiser.update(
            grads, state.optimiser, state.params
        )
        params: Any = optax.apply_updates(state.params, updates)
        return MemberState(params, stats, optimiser_state), Metrics(loss, accuracy)

    return step


def epoch_order(
    key: jax.Array, examples: int, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """A fresh order of the examples and a key for every step.

    The examples that do not fill a last batch sit this epoch out.

    Returns:
        int32 [steps, batch] and keys [steps].
    """
    order_key, step_key = jax.random.split(key)
    steps = examples // batch_size
    order = jax.random.permutation(order_key, examples)[: steps * batch_size]
    return order.reshape(steps, batch_size), jax.random.split(step_key, steps)
