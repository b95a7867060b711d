"""The training step of this library, as contestants of the benchmarks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.turns import Contestant, timed
from mothernets_jax.architectures import Architecture
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.devices import compute_dtype
from mothernets_jax.training.coupling import Independent
from mothernets_jax.training.epoch_inputs import (
    EpochInputs,
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.group_step import (
    GroupState,
    StepsFunction,
    make_steps,
    new_group,
)
from mothernets_jax.training.losses import CrossEntropy
from mothernets_jax.training.member_step import TrainingData, new_state
from mothernets_jax.training.optim import SGD
from mothernets_jax.training.step_spec import Augmentation, StepSpec

CLASSES = 10
CROP_PADDING = 4  # pixels


class Work(NamedTuple):
    """What a turn consists of.

    Attributes:
        side: height and width of the images, pixels.
        batch: images of a step.
        steps: of each member in a turn.
    """

    side: int
    batch: int
    steps: int


def make_data(work: Work) -> TrainingData:
    """Random images, padded for crops, and labels."""
    rng = np.random.default_rng(0)
    examples, padded = work.batch * work.steps, work.side + 2 * CROP_PADDING
    images = rng.integers(0, 256, (examples, padded, padded, 3), np.uint8)
    labels = rng.integers(0, CLASSES, examples).astype(np.int32)
    statistics = jnp.full(3, 120.0), jnp.full(3, 60.0)
    return TrainingData(jnp.asarray(images), jnp.asarray(labels), *statistics)


def steps_function(network: Architecture, strategy: str) -> StepsFunction:
    """The package's program that trains members of this architecture."""
    augmentation = Augmentation(CROP_PADDING, flip="random")
    spec = StepSpec(
        network,
        augmentation,
        SGD(),
        CrossEntropy(),
        Independent(),
        compute_dtype("auto"),
    )
    return make_steps(spec, strategy)


def start_group(
    network: Architecture, work: Work, keys: jax.Array
) -> tuple[GroupState, EpochInputs]:
    """New members, one for each key, and what their steps need."""
    shape = (work.side, work.side, 3)
    states = [new_state(init(network, key, shape, CLASSES), SGD()) for key in keys]
    members = len(keys)
    rates = MemberRates(
        jnp.full((members, work.steps), 0.01),
        jnp.full(members, 5e-4),
        jnp.zeros(members),  # of label smoothing
        jnp.ones(members, bool),
    )
    draw = make_epoch_inputs(work.batch * work.steps, work.batch)
    return new_group(states), draw(MemberKeys(keys, keys, keys), np.int32(0), rates)


def training_steps(
    network: Architecture,
    work: Work,
    *,
    members: int = 1,
    strategy: str = "loop",
    call_steps: int | None = None,
    options: dict[str, Any] | None = None,
) -> Contestant:
    """All members' steps, compiled with `options`; `call_steps` a call (None: all)."""
    data = make_data(work)
    keys = jax.random.split(jax.random.key(0), members)
    size = 1 if strategy == "loop" else members
    started = [start_group(network, work, own) for own in keys.reshape(-1, size)]
    groups, inputs = [group for group, _ in started], [own for _, own in started]
    first = np.int32(0)
    program = (
        steps_function(network, strategy)
        .lower(groups[0], data, inputs[0], first, first)
        .compile(options)
    )
    call_steps = call_steps or work.steps

    def run() -> list[GroupState]:
        for i, state in enumerate(groups):
            for start in range(0, work.steps, call_steps):
                bounds = np.int32(start), np.int32(start + call_steps)
                state = program(state, data, inputs[i], *bounds)
            groups[i] = state
        return groups

    return timed(run)
