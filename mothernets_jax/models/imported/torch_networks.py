"""A trained network of torchvision or timm, as a MotherNet or a member of an ensemble.

What is read is a state dict alone; PyTorch is not imported, and nothing is unpickled.
"""

import dataclasses
import logging
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import check_task
from mothernets_jax.architectures.operations import HEAD, Norm, Weight
from mothernets_jax.models.imported.layout import (
    NORM_LEAVES,
    Layout,
    channel_counts,
    expected_shapes,
)
from mothernets_jax.models.imported.networks import layout_of
from mothernets_jax.models.imported.state_dict import (
    as_float32,
    by_key,
    check_entries,
    shape_of,
)
from mothernets_jax.models.variables import Variables, check_key
from mothernets_jax.utils.messages import short_repr
from mothernets_jax.utils.pytrees import named_key

_log = logging.getLogger(__name__)

# Of ImageNet, for pixels from 0 to 1: what torchvision and most of timm normalise by.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LARGEST_PIXEL = 255


@dataclasses.dataclass(frozen=True, eq=False)
class ImportedNetwork:
    """A trained network of another library.

    Attributes:
        architecture: architecture of the network.
        variables: the network's `{"params": ..., "batch_stats": ...}`, float32.
        mean: mean by which its images are normalised, float32 [channels], in units of
            pixels from 0 to 255.
        std: standard deviation by which they are, likewise.
        remarks: sentences on what is not as it was: a head that was drawn anew.
    """

    architecture: Architecture
    variables: Variables
    mean: np.ndarray
    std: np.ndarray
    remarks: tuple[str, ...] = ()


def from_torch(
    state_dict: Mapping[str, Any],
    network: str,
    *,
    num_classes: int | None = None,
    key: jax.Array | None = None,
    mean: Any = None,
    std: Any = None,
) -> ImportedNetwork:
    """Takes over a trained network of torchvision or timm.

    The result computes what the network computes in eval mode, but for rounding: on
    images of any size, and in logits where the head is kept. The head is drawn anew
    where the numbers of classes differ, where there is none, and for VGGs: theirs, of
    three dense layers on 7x7 pixels, has no counterpart here.

    Args:
        state_dict: tensors of PyTorch or NumPy arrays by key, as the network's
            `state_dict()` gives them; in any type of floats, on any device.
        network: the network's name in torchvision or timm: `resnet18`, `34`, `50`,
            `101` or `152`, `wide_resnet50_2` or `101_2`, `densenet121`, `161`, `169` or
            `201`, `vgg11_bn`, `13`, `16` or `19`; with timm's tag or without.
        num_classes: number of outputs of the head; None for as many as it has.
        key: a typed key, needed where the head is drawn anew.
        mean: mean by which the network's images were normalised, in units of pixels
            from 0 to 1, as these libraries write it: [channels], or one number for all;
            None for that of ImageNet.
        std: their standard deviation, likewise.

    Raises:
        ValueError: an unknown network; entries that are missing, unknown, of other
            shapes, no floats or not finite; no key where one is needed; or no
            normalisation for images of other than three channels.

    >>> import mothernets_jax as mn
    >>> mn.from_torch({}, "resnet20")
    Traceback (most recent call last):
        ...
    ValueError: network is 'resnet20': expected the name of a network of ...
    """
    layout = layout_of(network)
    entries = by_key(state_dict)
    channels, theirs = _channels(layout, entries), _their_classes(layout, entries)
    shapes = expected_shapes(layout, channels, theirs or 1)
    if theirs is None and HEAD in layout.modules:  # it was saved without its head
        head = layout.modules[HEAD]
        shapes = {k: s for k, s in shapes.items() if not k.startswith(f"{head}.")}
    check_entries(entries, shapes, network, layout.other_heads)
    classes = theirs if num_classes is None else num_classes
    if classes is None:
        raise ValueError(
            "num_classes is None, and the state_dict has no head that tells the number "
            "of classes: expected a number such as 10"
        )
    check_task((32, 32, channels), classes)
    statistics = _normalisation(mean, std, channels)
    reason = _reason_for_a_new_head(layout, theirs, classes, network)
    if reason and key is None:
        raise ValueError(
            f"key is None, and the head is drawn anew, since {reason}: expected a key "
            "such as jax.random.key(0)"
        )
    variables = _variables(layout, entries, new_head=bool(reason))
    remarks = ()
    if reason:
        check_key(key)
        counts = channel_counts(layout.architecture, channels, classes)
        head = _drawn_head(key, counts["features"], classes)
        variables["params"][HEAD] = head
        remarks = (f"The head of {classes:,} classes is new, since {reason}.",)
        _log.info("%s", remarks[0])
    return ImportedNetwork(layout.architecture, variables, *statistics, remarks)


def _channels(layout: Layout, entries: Mapping[Any, Any]) -> int:
    """Number of channels of an image, as the first convolution reads them."""
    first = next(op for op in layout.architecture.operations())
    shape = shape_of(entries.get(f"{layout.modules[first.name]}.weight"))
    return shape[1] if shape and len(shape) == 4 and shape[1] > 0 else 3


def _their_classes(layout: Layout, entries: Mapping[Any, Any]) -> int | None:
    """Number of outputs of the head in a state dict; None where there is none."""
    keys = [*layout.class_biases]
    keys += [key.removesuffix("bias") + "weight" for key in keys]
    for key in keys:
        if shape := shape_of(entries.get(key)):
            return shape[0]
    return None


def _reason_for_a_new_head(
    layout: Layout, theirs: int | None, classes: int, network: str
) -> str:
    """The reason, worded for messages, to draw a head anew; "" to keep theirs."""
    if HEAD not in layout.modules:
        return f"the dense layers of {network} on 7x7 pixels have no counterpart here"
    if theirs is None:
        return "the state_dict has none"
    if theirs != classes:
        return f"the state_dict's is of {theirs:,} classes"
    return ""


def _variables(
    layout: Layout, entries: Mapping[Any, Any], *, new_head: bool
) -> Variables:
    """The variables of all layers, without a head that is new."""

    def read(module: str, leaf: str) -> np.ndarray:
        key = f"{module}.{leaf}"
        return as_float32(key, entries[key])

    params, stats = {}, {}
    for operation in layout.architecture.operations():
        name = operation.name
        if isinstance(operation, Weight) and not (name == HEAD and new_head):
            weight = read(layout.modules[name], "weight")
            axes = (2, 3, 1, 0) if weight.ndim == 4 else (1, 0)
            params[name] = {"kernel": weight.transpose(axes)}
            if operation.bias:
                params[name]["bias"] = read(layout.modules[name], "bias")
        elif isinstance(operation, Norm):
            module = layout.modules[name]
            norm = {our: read(module, leaf) for our, leaf in NORM_LEAVES.items()}
            if name in layout.folded:
                # scale (x + b - mean) / deviation, with mean - b for the mean
                norm["mean"] = norm["mean"] - read(layout.folded[name], "bias")
            params[name] = {leaf: norm[leaf] for leaf in ("scale", "bias")}
            stats[name] = {leaf: norm[leaf] for leaf in ("mean", "var")}
    return jax.tree.map(jnp.asarray, {"params": params, "batch_stats": stats})


def _drawn_head(key: Any, inputs: int, classes: int) -> dict[str, jax.Array]:
    """A head as `models.variables.init` draws it: LeCun-normal, its bias 0."""
    kernel = jax.random.normal(named_key(key, HEAD), (inputs, classes), jnp.float32)
    bias = jnp.zeros(classes, jnp.float32)
    return {"kernel": kernel / math.sqrt(inputs), "bias": bias}


def _normalisation(mean: Any, std: Any, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float32 [channels] each, in units of pixels."""
    if mean is None and std is None and channels == len(_IMAGENET_MEAN):
        mean, std = _IMAGENET_MEAN, _IMAGENET_STD
    expected = f"expected {channels} numbers each, one a channel, or one for all, "
    if mean is None or std is None:
        raise ValueError(
            f"mean is {short_repr(mean)} and std is {short_repr(std)}, and images have "
            f"{channels} channels: {expected}for pixels from 0 to 1"
        )
    both = []
    for own in (mean, std):
        try:
            found = np.broadcast_to(np.asarray(own, np.float64), channels)
        except (TypeError, ValueError):
            found = np.full(channels, np.nan)
        both.append(found)
    usable = all(np.isfinite(own).all() and (np.abs(own) <= 1).all() for own in both)
    if not usable or (both[1] <= 0).any():
        raise ValueError(
            f"mean is {short_repr(mean)} and std is {short_repr(std)}: {expected}for "
            "pixels from 0 to 1, each std above 0"
        )
    return (
        np.asarray(both[0] * _LARGEST_PIXEL, np.float32),
        np.asarray(both[1] * _LARGEST_PIXEL, np.float32),
    )
