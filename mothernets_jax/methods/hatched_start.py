"""The start of hatched members: each from its MotherNet, checked before noise."""

import functools
import logging
import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.augment import normalise
from mothernets_jax.channels import Split
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.evaluation import predict_logits, prepare_prediction
from mothernets_jax.hatching import hatch, perturb
from mothernets_jax.models import Variables, abstract_variables
from mothernets_jax.momentum import hatch_momentum
from mothernets_jax.settings import Settings
from mothernets_jax.stages import EVALUATION_BATCH, Start, Task
from mothernets_jax.training import MemberState, new_state
from mothernets_jax.trees import named_key

_log = logging.getLogger(__name__)

# A hatched member's logits may differ from its MotherNet's by float32 rounding: at most
# this share of the largest logit. Measured differences are some 1e-6 of it.
TOLERANCE = 1e-3
# Beyond, a MotherNet has failed numerically, and rounding may be all that it computes.
LARGEST_LOGIT = 1e6


class Parent(NamedTuple):
    """A cluster's MotherNet."""

    name: str
    architecture: Architecture


def start_hatched(
    method: str,
    task: Task,
    settings: Settings,
    parent: Parent,
    architecture: Architecture,
    names: tuple[str, ...],
    trained: Mapping[str, MemberState],
    executables: Executables,
) -> Start:
    """Hatches members from their trained MotherNet and checks each before noise.

    Args:
        method: that the members are trained by; their keys are derived from its name.
        task: with the images that the check, and what is inserted, look at.
        settings: how members are hatched.
        parent: the MotherNet.
        architecture: of all these members.
        names: theirs.
        trained: states of the networks that are trained, the MotherNet's among them.
        executables: compiled programs.

    Returns:
        Their states. All are left out where the MotherNet's logits are not finite, or
        so large that a member cannot be checked.

    Raises:
        RuntimeError: a member does not compute its MotherNet's function.
    """
    images = task.dataset.train_images[:EVALUATION_BATCH]
    mean, std = jnp.asarray(task.dataset.mean), jnp.asarray(task.dataset.std)

    def logits_of(network: Architecture, variables: Variables) -> np.ndarray:
        return predict_logits(
            network,
            variables,
            images,
            task.dataset.mean,
            task.dataset.std,
            batch_size=EVALUATION_BATCH,
            executables=executables,
            exact=True,
        )

    mother, mother_state = parent.architecture, trained[parent.name]
    expected = logits_of(mother, mother_state.variables)
    statistics_batch = normalise(jnp.asarray(images), mean, std)
    grow = _make_hatch(mother, architecture, settings.hatch.split)  # type: ignore[arg-type]
    largest = float(np.abs(expected).max())  # NaN where one of them is
    states, checks, left_out = {}, {}, {}
    for name in names:
        key = named_key(task.key, method, name, "hatch")
        args = (mother_state.variables, key, statistics_batch)
        hatched = executables.get(grow, *args)(*args)
        with np.errstate(invalid="ignore"):  # of infinities
            differences = np.abs(logits_of(architecture, hatched) - expected)
        difference = float(differences.max())
        # Only logits of nothing but zeros are divided by something else.
        relative = difference / (largest or 1.0)
        if not relative <= TOLERANCE:
            if not largest <= LARGEST_LOGIT:
                left_out[name] = _reason_to_leave_out(parent, largest)
                _log.warning("%s: %s; it is left out", name, left_out[name])
                states[name] = new_state(hatched)
                continue
            raise RuntimeError(
                f"{name} does not compute its MotherNet's function: their logits "
                f"differ by {difference:.3g}, {relative:.1e} of the largest (allowed: "
                f"{TOLERANCE}). This is a defect of mothernets_jax; please report the "
                f"architectures {str(mother)!r} and {str(architecture)!r}"
            )
        checks[name] = {
            "largest_logit_difference": difference,
            "relative_logit_difference": relative,
        }
        if settings.hatch.noise:
            noise_key = named_key(task.key, method, name, "noise")
            args = (hatched, noise_key, np.float32(settings.hatch.noise))
            hatched = executables.get(_perturb, *args)(*args)
        momentum = None
        if settings.hatch.momentum:
            args = (mother_state.momentum, key)
            grow_momentum = _make_hatch_momentum(mother, architecture)
            momentum = executables.get(grow_momentum, *args)(*args)
        states[name] = new_state(hatched, momentum)
    return Start(states, checks, left_out)


def _reason_to_leave_out(parent: Parent, largest: float) -> str:
    """Why nothing can be hatched from a MotherNet whose logits are as large as that."""
    what = f"as large as {largest:.3g}" if math.isfinite(largest) else "not finite"
    return f"the logits of its MotherNet, {parent.name}, are {what} on training images"


def prepare_hatching(
    task: Task,
    settings: Settings,
    parent: Parent,
    architecture: Architecture,
    store: ProgramStore,
) -> None:
    """Compiles what `start_hatched` will use, in the background."""
    shapes = abstract_variables(parent.architecture, task.input_shape, task.num_classes)
    examples = min(EVALUATION_BATCH, len(task.dataset.train_labels))
    images = jax.ShapeDtypeStruct((examples, *task.input_shape), jnp.float32)
    grow = _make_hatch(parent.architecture, architecture, settings.hatch.split)  # type: ignore[arg-type]
    store.prepare(grow, shapes, task.key, images)
    hatched = abstract_variables(architecture, task.input_shape, task.num_classes)
    for network, variables in ((parent.architecture, shapes), (architecture, hatched)):
        of_check = task.input_shape, EVALUATION_BATCH, store
        prepare_prediction(network, variables, *of_check, exact=True)
    if settings.hatch.momentum:
        grow_momentum = _make_hatch_momentum(parent.architecture, architecture)
        store.prepare(grow_momentum, shapes["params"], task.key)
    if settings.hatch.noise:
        store.prepare(_perturb, hatched, task.key, np.float32(0))


_perturb = jax.jit(perturb)


@functools.cache
def _make_hatch(mother: Architecture, member: Architecture, split: Split):
    def hatch_member(variables, key, images):
        return hatch(variables, mother, member, key, images=images, split=split)

    return jax.jit(hatch_member)


@functools.cache
def _make_hatch_momentum(mother: Architecture, member: Architecture):
    def grow(momentum, key):
        return hatch_momentum(momentum, mother, member, key)

    return jax.jit(grow)
