"""Arguments of a stage's programs, built alike for preparing and for running them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mothernets_jax.config.settings import Recipe
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task
from mothernets_jax.training.epoch_inputs import (
    EpochInputs,
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.losses import balanced_class_weights
from mothernets_jax.utils.pytrees import named_key


def keys_of(stage: Stage, task: Task) -> list[MemberKeys]:
    """The random keys of each member, derived from its own and its method's name."""
    return [
        MemberKeys(
            *(
                named_key(task.key, stage.method, name, purpose)
                for purpose in ("train", "sides", "bag")
            )
        )
        for name in stage.members
    ]


def epoch_inputs_of(stage: Stage, task: Task) -> Callable[..., EpochInputs]:
    """Makes the function that draws the inputs of a stage's epochs."""
    examples, batch_size = len(task.dataset.train_labels), stage.recipe.batch_size
    with_replacement = stage.with_replacement
    return make_epoch_inputs(examples, batch_size, with_replacement=with_replacement)


def member_rates(
    recipe: Recipe,
    learning_rates: np.ndarray,
    active: np.ndarray,
    average_weights: np.ndarray | None,
) -> MemberRates:
    """The traced hyper-parameters of a group, as NumPy arrays.

    Args:
        recipe: the recipe that all members share.
        learning_rates: the learning rate of every step, float32 [members, steps].
        active: true for the members that train, bool [members].
        average_weights: the weight of every step in the running average, float32
            [steps]; None where none is kept.
    """
    members = len(active)
    decay = np.full(members, recipe.weight_decay, np.float32)
    smoothing = np.full(members, recipe.label_smoothing, np.float32)
    average = None
    if average_weights is not None:
        average = np.broadcast_to(average_weights, learning_rates.shape)
    rates: Any = learning_rates, decay, smoothing, active, average
    return MemberRates(*rates)


def class_weights(recipe: Recipe, task: Task) -> np.ndarray | None:
    """Factors on the loss by class, float32 [classes]; None for a plain loss.

    They are computed on the whole training split, for members that draw bags, too.
    """
    if recipe.class_weights == "none":
        return None
    return balanced_class_weights(task.dataset.train_labels, task.num_classes)


def call_bounds(first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """The first step of a call, and one past its last, as int32 scalars to trace."""
    return np.asarray(first, np.int32), np.asarray(stop, np.int32)
