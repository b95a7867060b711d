"""The start of hatched members: each from its MotherNet, checked before noise."""

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
from mothernets_jax.ensembles.prediction import predict_logits, prepare_prediction
from mothernets_jax.growth.channels import Growth, Split
from mothernets_jax.growth.hatching import grow, perturb
from mothernets_jax.growth.layouts import Layout, opposite_layouts
from mothernets_jax.growth.opt_state import hatch_opt_state
from mothernets_jax.models.variables import Variables, abstract_variables
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.stage import Start
from mothernets_jax.stages.task import EVALUATION_BATCH, Task
from mothernets_jax.training.augment import normalise
from mothernets_jax.training.member_step import MemberState, new_state
from mothernets_jax.training.optim import Optimizer
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.pytrees import named_key

_log = logging.getLogger(__name__)

# A hatched member's logits may differ from its MotherNet's by float32 rounding: at most
# this share of the largest logit. Measured differences are some 1e-6 of it.
TOLERANCE = 1e-3
# Beyond, a MotherNet has failed numerically, and rounding may be all that it computes.
LARGEST_LOGIT = 1e6


class Parent(NamedTuple):
    """A cluster's MotherNet.

    Attributes:
        name: name of the MotherNet.
        architecture: architecture of the MotherNet.
        members: architectures of all the members that it hatches, by name, among which
            layouts are chosen.
    """

    name: str
    architecture: Architecture
    members: Mapping[str, Architecture]


def start_hatched(
    method: str,
    task: Task,
    settings: Settings,
    parent: Parent,
    spec: StepSpec,
    names: tuple[str, ...],
    trained: Mapping[str, MemberState],
    executables: Executables,
) -> Start:
    """Hatches members from their trained MotherNet and checks each before noise.

    Args:
        method: name of the method, from which the members' keys are derived.
        task: the task, on whose first training images members are checked and the
            statistics of inserted layers are measured.
        settings: settings, of which the section `hatch` is read.
        parent: the MotherNet.
        spec: the training step of all these members.
        names: the members' names.
        trained: states of the networks trained so far, by name, the MotherNet's among
            them.
        executables: programs compiled so far; missing ones are added.

    Returns:
        The members' first states. All members are left out where the MotherNet's logits
        are not finite, or so large that a member cannot be checked.

    Raises:
        RuntimeError: a member does not compute its MotherNet's function.
    """
    architecture, optimizer = spec.architecture, spec.optimizer
    mother, mother_state = parent.architecture, trained[parent.name]
    expected = _checked_logits(mother, mother_state.predictor, task, executables)
    statistics_batch = normalise(
        jnp.asarray(task.dataset.train_images[:EVALUATION_BATCH]),
        jnp.asarray(task.dataset.mean),
        jnp.asarray(task.dataset.std),
    )
    hatching = _hatching_of(settings, mother, architecture)
    layouts = _layouts(settings, parent, named_key(task.key, method), names)
    largest = float(np.abs(expected).max())  # NaN where one of them is
    states, checks, left_out = {}, {}, {}
    for name in names:
        key, layout = named_key(task.key, method, name), layouts[name]  # see `hatch`
        args = (mother_state.predictor, key, statistics_batch, layout.starts)
        hatched = executables.get(hatching, *args)(*args)
        logits = _checked_logits(architecture, hatched, task, executables)
        with np.errstate(invalid="ignore"):  # of infinities
            differences = np.abs(logits - expected)
        difference = float(differences.max())
        # Only logits of nothing but zeros are divided by something else.
        relative = difference / (largest or 1.0)
        if not relative <= TOLERANCE:
            if not largest <= LARGEST_LOGIT:
                left_out[name] = _reason_to_leave_out(parent, largest)
                _log.warning("%s: %s; it is left out", name, left_out[name])
                states[name] = new_state(hatched, optimizer)
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
            noise = np.float32(settings.hatch.noise) * layout.noise_sign
            args = (hatched, layout.noise_key, noise)
            hatched = executables.get(perturb, *args)(*args)
        opt_state = None
        if settings.hatch.momentum:
            args = (mother_state.opt_state, key, layout.starts)
            grow_state = _opt_state_hatching_of(settings, mother, spec)
            opt_state = executables.get(grow_state, *args)(*args)
        states[name] = new_state(hatched, optimizer, opt_state)
    return Start(states, checks, left_out)


def _checked_logits(
    architecture: Architecture,
    variables: Variables,
    task: Task,
    executables: Executables,
) -> np.ndarray:
    """Exact logits of a few training images, float32 [images, classes]."""
    batch_size = task.evaluation_batch  # whose program is compiled in any case on CPUs
    return predict_logits(
        architecture,
        variables,
        task.dataset.train_images[:batch_size],
        task.dataset.mean,
        task.dataset.std,
        batch_size=batch_size,
        smallest_batch=batch_size,
        executables=executables,
        exact=True,
    )


def _reason_to_leave_out(parent: Parent, largest: float) -> str:
    """The reason for hatching nothing from a MotherNet with such a largest logit."""
    what = f"as large as {largest:.3g}" if math.isfinite(largest) else "not finite"
    return f"the logits of its MotherNet, {parent.name}, are {what} on training images"


def prepare_hatching(
    task: Task,
    settings: Settings,
    parent: Parent,
    spec: StepSpec,
    store: ProgramStore,
) -> None:
    """Begins to compile, in the background, the programs that `start_hatched` uses."""
    architecture = spec.architecture
    shapes = abstract_variables(parent.architecture, task.input_shape, task.num_classes)
    examples = min(EVALUATION_BATCH, len(task.dataset.train_labels))
    images = jax.ShapeDtypeStruct((examples, *task.input_shape), jnp.float32)
    hatching = _hatching_of(settings, parent.architecture, architecture)
    names = [n for n, own in parent.members.items() if own == architecture]
    starts = _layouts(settings, parent, task.key, names)[names[0]].starts
    store.prepare(hatching, shapes, task.key, images, starts)
    hatched = abstract_variables(architecture, task.input_shape, task.num_classes)
    for network, variables in ((parent.architecture, shapes), (architecture, hatched)):
        of_check = task.input_shape, task.evaluation_batch, store
        dtype = task.dataset.input_dtype
        prepare_prediction(network, variables, *of_check, dtype=dtype, exact=True)
    if settings.hatch.momentum:
        optimizer = spec.optimizer
        grow_state = _opt_state_hatching_of(settings, parent.architecture, spec)
        mothers = jax.eval_shape(lambda v: new_state(v, optimizer).opt_state, shapes)
        store.prepare(grow_state, mothers, task.key, starts)
    if settings.hatch.noise:
        store.prepare(perturb, hatched, task.key, np.float32(0))


def _layouts(
    settings: Settings, parent: Parent, key: jax.Array, names: Sequence[str]
) -> dict[str, Layout]:
    """What members copy, and their noise, by name; `key` is that of the method."""
    if settings.hatch.layout == "opposite":
        return opposite_layouts(parent.architecture, parent.members, key)
    return {name: Layout(None, named_key(key, name), np.float32(1)) for name in names}


def _hatching_of(settings: Settings, mother: Architecture, member: Architecture):
    """The program that hatches a member, by the settings."""
    return _make_hatch(mother, member, settings.hatch.split, settings.hatch.growth)  # type: ignore[arg-type]


def _opt_state_hatching_of(settings: Settings, mother: Architecture, spec: StepSpec):
    """The program that hatches a member's optimiser state, by the settings."""
    growth = settings.hatch.growth
    return _make_hatch_opt_state(mother, spec.architecture, spec.optimizer, growth)  # type: ignore[arg-type]


@functools.cache
def _make_hatch(
    mother: Architecture, member: Architecture, split: Split, growth: Growth
):
    def hatch_member(variables, key, images, starts):
        return grow(variables, mother, member, key, images, split, growth, starts)

    return jax.jit(hatch_member)


@functools.cache
def _make_hatch_opt_state(
    mother: Architecture, member: Architecture, optimizer: Optimizer, growth: Growth
):
    def grow_opt_state(opt_state, key, starts):
        return hatch_opt_state(
            opt_state,
            optimizer.slots,
            mother,
            member,
            key,
            growth=growth,
            starts=starts,
        )

    return jax.jit(grow_opt_state)
