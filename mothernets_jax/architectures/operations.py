"""A network as a row of operations, the one description that everything follows.

The Linen module runs the operations, the costs count them, and hatching walks along
them, so that the three cannot disagree. An operation names the value that it makes and
the values that it reads; `IMAGES` is what the network is given.

Parameters belong to two operations only: `Weight` and `Norm`. Both say what stands in
their place when the unit that they belong to is inserted into a network that has
already learned (`inserted_as`), which is all that hatching needs to know of a family.
"""

import dataclasses
from typing import Literal

IMAGES, HEAD = "images", "head"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weight:
    """A convolution or a dense layer.

    Attributes:
        name: of the operation and of the value that it makes.
        reads: the value's name.
        width: channels that it makes; None for the number of classes.
        filter_size: of a convolution; None for a dense layer.
        stride: of a convolution.
        bias: whether it has one.
        unit: that it belongs to; "" for what every network of its family has.
        channels: operations that write the same channels, such as those of a residual
            stream, have the same name here; "" for channels of its own.
        widened_by: what its new channels are: copies of others, or fresh ones that
            readers do not hear at first.
        inserted_as: what it is in an inserted unit: the identity, freshly initialised
            with channels that are not heard, or zero.
    """

    name: str
    reads: str
    width: int | None
    filter_size: int | None = None
    stride: int = 1
    bias: bool = False
    unit: str = ""
    channels: str = ""
    widened_by: Literal["copies", "fresh"] = "copies"
    inserted_as: Literal["identity", "fresh", "zero"] = "identity"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Norm:
    """A batch normalisation.

    Attributes:
        name: of the operation and of the value that it makes.
        reads: the value's name.
        unit: as for `Weight`.
        inserted_as: what it is in an inserted unit: one that undoes itself, a fresh
            one, or one of scale zero.
    """

    name: str
    reads: str
    unit: str = ""
    inserted_as: Literal["undone", "fresh", "zero"] = "undone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Map:
    """What has no parameters, reads one value and keeps its channels.

    Attributes:
        name: of the operation and of the value that it makes.
        reads: the value's name.
        kind: `relu`; `halve`, 2x2 max-pooling while both sides are above 1; `max_pool`,
            3x3 with stride 2; `mean_pool`, 2x2 means; `subsample`, every `stride`-th
            pixel; `mean`, over all pixels; `flatten`, pixels to channels.
        stride: of `subsample`.
        unit: as for `Weight`.
    """

    name: str
    reads: str
    kind: Literal[
        "relu", "halve", "max_pool", "mean_pool", "subsample", "mean", "flatten"
    ]
    stride: int = 1
    unit: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Join:
    """The sum of two values, or the channels of both side by side.

    Attributes:
        name: of the operation and of the value that it makes.
        reads: the value that an inserted unit leaves as it is, then the one that it
            adds.
        kind: `sum` or `concatenation`.
        unit: as for `Weight`.
    """

    name: str
    reads: tuple[str, str]
    kind: Literal["sum", "concatenation"]
    unit: str = ""


Operation = Weight | Norm | Map | Join


def read_by(operation: Operation) -> tuple[str, ...]:
    """Names of the values that an operation reads."""
    reads = operation.reads
    return reads if isinstance(reads, tuple) else (reads,)
