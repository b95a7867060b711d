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
        name: name of the operation and of the value that it makes.
        reads: name of the value that it reads.
        width: number of channels that it makes; None for the number of classes.
        filter_size: side of a convolution's filter, in pixels; None for a dense layer.
        stride: stride of a convolution along both sides, in pixels.
        bias: whether the layer has a bias.
        unit: name of the unit that the operation belongs to; "" for an operation that
            every network of its family has.
        channels: name of the channels that it writes, the same for all operations that
            write the same ones, such as those of a residual stream; "" for channels of
            its own.
        widened_by: kind of its new channels in a wider layer: copies of others, or
            fresh ones that no reader uses at first.
        inserted_as: its state in an inserted unit: the identity, freshly initialised
            with channels that no reader uses at first, or zero.
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
        name: name of the operation and of the value that it makes.
        reads: name of the value that it reads.
        unit: name of the unit that the operation belongs to; "" for an operation that
            every network of its family has.
        inserted_as: its state in an inserted unit: undone by its own scale and bias,
            freshly initialised, or with a scale of zero.
    """

    name: str
    reads: str
    unit: str = ""
    inserted_as: Literal["undone", "fresh", "zero"] = "undone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Map:
    """An operation on one value that has no parameters.

    All kinds but `flatten` keep the value's channels.

    Attributes:
        name: name of the operation and of the value that it makes.
        reads: name of the value that it reads.
        kind: `relu`; `halve`, 2x2 max-pooling while both sides are above 1; `max_pool`,
            3x3 max-pooling of stride 2; `mean_pool`, 2x2 means while both sides are
            above 1; `subsample`, every `stride`-th pixel; `mean`, the mean over all
            pixels; `flatten`, pixels to channels.
        stride: stride of `subsample` along both sides, in pixels.
        unit: name of the unit that the operation belongs to; "" for an operation that
            every network of its family has.
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
        name: name of the operation and of the value that it makes.
        reads: names of the two values: the one that an inserted unit leaves as it is,
            then the one that the unit adds.
        kind: `sum` or `concatenation`.
        unit: name of the unit that the operation belongs to; "" for an operation that
            every network of its family has.
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
