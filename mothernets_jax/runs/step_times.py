"""Times of training steps that were measured on accelerators, and estimates from them.

`step_times.json` holds what was measured; `benchmarks/step_times_table.py` makes it.
The time of another step is estimated as a time for each layer, in which a device begins
its kernels, and one for each FLOP, both fitted to the steps that were measured. What
devices take to exchange gradients was measured nowhere and is left out.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.architectures.operations import Weight
from mothernets_jax.training.optim import SGD
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.messages import short_repr

_FILE = Path(__file__).with_suffix(".json")
_CLASSES = 10  # of all measurements; a head of others takes no time to speak of
_PASSES = 3  # forward, gradients of values, gradients of parameters: each its kernels


class Estimate(NamedTuple):
    """Seconds that something takes.

    Attributes:
        seconds: the seconds.
        measured: whether the very same was timed; else they are an estimate.
    """

    seconds: float
    measured: bool


class StepTime(NamedTuple):
    """The time of a training step on one device.

    Attributes:
        network: notation of the members' architecture.
        input_shape: (height, width, channels) of an image.
        batch_size: number of images of each member.
        members: number of members that one program steps.
        step_seconds: seconds of a step of all members.
    """

    network: str
    input_shape: tuple[int, int, int]
    batch_size: int
    members: int
    step_seconds: float


class Fit(NamedTuple):
    """Seconds that a step takes by its layers and FLOPs.

    Attributes:
        layer_seconds: seconds for each layer.
        flop_seconds: seconds for each training FLOP.
        worst_error: the largest error, as a share, of the estimate of a measured step
            from a fit to the others.
    """

    layer_seconds: float
    flop_seconds: float
    worst_error: float


class DeviceTimes(NamedTuple):
    """What was measured on a kind of device.

    Attributes:
        device: name of the device, as in `jax.Device.device_kind`.
        source: the file of results that the times are from.
        dtype: name of the dtype in which hidden layers computed.
        hatch_seconds: seconds that hatching a member took, the median over members.
        steps: the steps that were timed.
        fit: the estimate of other steps.
    """

    device: str
    source: str
    dtype: str
    hatch_seconds: float
    steps: tuple[StepTime, ...]
    fit: Fit

    def step(
        self,
        spec: StepSpec,
        input_shape: tuple[int, int, int],
        batch_size: int,
        members: int = 1,
    ) -> Estimate:
        """Seconds of a step of members that one program steps.

        Args:
            spec: description of the step.
            input_shape: (height, width, channels) of an image.
            batch_size: number of images of each member on the device.
            members: number of members.
        """
        if _is_plain(spec):
            timed = self._timed(spec.architecture, input_shape, batch_size, members)
            if timed is not None:
                return Estimate(timed, True)
            alone = self._timed(spec.architecture, input_shape, batch_size, 1)
            if alone is not None:
                return Estimate(members * alone, False)
        layers = _layers(spec.architecture)
        layers += sum(map(_layers, spec.loss.references)) / _PASSES
        each = layers * self.fit.layer_seconds
        each += batch_size * spec.flops_per_image * self.fit.flop_seconds
        return Estimate(members * each, False)

    def _timed(
        self,
        network: Architecture,
        input_shape: tuple[int, int, int],
        batch_size: int,
        members: int,
    ) -> float | None:
        key = str(network), tuple(input_shape), batch_size, members
        return next((own[-1] for own in self.steps if own[:-1] == key), None)


def times_of(device: str) -> DeviceTimes:
    """The times that were measured on the kind of device with a name.

    Args:
        device: a part of the device's name, such as `H100`, in any case.

    Raises:
        ValueError: nothing was measured on such a device, or the name is a part of
            several.
    """
    table = _table()
    found = [name for name in table if device.strip().lower() in name.lower()]
    if not device.strip() or not found:
        raise ValueError(
            f"no step was timed on a device {short_repr(device)}: expected a part of "
            f"{' or '.join(map(repr, table))}, or 'here' for this machine, whose steps "
            "are timed now"
        )
    if len(found) > 1:
        raise ValueError(
            f"{short_repr(device)} is a part of several devices' names: expected a "
            f"part of one of {', '.join(map(repr, found))}"
        )
    return table[found[0]]


@functools.cache
def _table() -> dict[str, DeviceTimes]:
    """What was measured, by the name of the device."""
    content = json.loads(_FILE.read_text(encoding="utf-8"))
    return {name: read_times(name, found) for name, found in content.items()}


def read_times(device: str, found: dict[str, Any]) -> DeviceTimes:
    """What was measured on a device, from its entry in the table.

    Args:
        device: name of the device.
        found: the entry: `source`, `dtype`, `hatch_seconds` and `steps`, the fields of
            `StepTime`.
    """
    steps = tuple(
        StepTime(**{**own, "input_shape": tuple(own["input_shape"])})
        for own in found["steps"]
    )
    return DeviceTimes(**{**found, "steps": steps}, device=device, fit=fit(steps))


def fit(steps: Sequence[StepTime]) -> Fit:
    """Fits seconds for each layer and FLOP, by least squares of the relative errors.

    Args:
        steps: measured steps, of which those of single members are read: at least three
            that differ in layers and in FLOPs.
    """
    alone = [own for own in steps if own.members == 1]
    costs = np.array([_costs(own) for own in alone])  # [steps, layers and FLOPs]
    seconds = np.array([own.step_seconds for own in alone])
    relative = costs / seconds[:, None]

    def solve(rows: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(relative[rows], np.ones(rows.sum()), rcond=None)[0]

    every = np.arange(len(alone))
    errors = [abs(relative[i] @ solve(every != i) - 1.0) for i in every]
    layer_seconds, flop_seconds = map(float, solve(every >= 0))
    return Fit(layer_seconds, flop_seconds, float(max(errors)))


def _costs(step: StepTime) -> tuple[float, float]:
    """Layers and training FLOPs of a step of one member."""
    network = parse(step.network)
    flops = train_flops(network, step.input_shape, _CLASSES)
    return float(_layers(network)), step.batch_size * flops


def _layers(network: Architecture) -> int:
    """Number of convolutions and dense layers, the head among them."""
    return sum(isinstance(own, Weight) for own in network.operations())


def _is_plain(spec: StepSpec) -> bool:
    """Whether a step is of the kind that was timed: labels, crops, flips, momentum."""
    more = (
        spec.loss.references,
        spec.coupling.tied,
        spec.augmentation.transforms,
        spec.averaged,
        spec.masked,
    )
    return isinstance(spec.optimizer, SGD) and not any(more)
