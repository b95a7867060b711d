"""Architectures as data: frozen specs and the notation that writes them out.

A new family is a new class that extends `base.Architecture`, and an entry in `PARSERS`
where its notation is to be read; docs/adding_a_family.md shows one.
"""

from collections.abc import Callable

from mothernets_jax.architectures.base import Architecture, named_units, scale_width
from mothernets_jax.architectures.densenet import densenet, parse_densenet
from mothernets_jax.architectures.plain import mlp, parse_mlp, parse_vgg, vgg
from mothernets_jax.architectures.resnet import parse_resnet, resnet, wide_resnet
from mothernets_jax.utils.messages import short_repr

__all__ = [
    "PARSERS",
    "Architecture",
    "densenet",
    "mlp",
    "named_units",
    "parse",
    "resnet",
    "scale_width",
    "vgg",
    "wide_resnet",
]

LONGEST_NOTATION = 20_000  # characters

# The parser of each family's notation, by its first word.
PARSERS: dict[str, Callable[[str], Architecture]] = {
    "mlp": parse_mlp,
    "vgg": parse_vgg,
    "resnet": parse_resnet,
    "densenet": parse_densenet,
}


def parse(notation: str) -> Architecture:
    """Reads an architecture's notation, so that `parse(str(a)) == a`.

    Args:
        notation: the text that `str` gives for an architecture.

    Raises:
        ValueError: the notation is unreadable; the message quotes the part at fault.

    >>> parse("mlp 64 32; batch_norm") == mlp((64, 32), batch_norm=True)
    True
    """
    if not isinstance(notation, str):
        raise ValueError(
            f"architecture {short_repr(notation)} is not text such as 'mlp 64 32'"
        )
    if len(notation) > LONGEST_NOTATION:
        raise ValueError(
            f"architecture {short_repr(notation)} has {len(notation):,} characters: "
            f"expected at most {LONGEST_NOTATION:,}; equal neighbours are written "
            "once, as '(3:64)x2'"
        )
    family = notation.strip().partition(" ")[0].partition(";")[0]
    if family not in PARSERS:
        raise ValueError(
            f"architecture {short_repr(notation)} starts with {short_repr(family)}: "
            f"expected one of {', '.join(map(repr, PARSERS))}, as in 'mlp 64 32; "
            "batch_norm' or 'vgg (3:64)x2 | (3:128)x2; batch_norm'"
        )
    return PARSERS[family](notation)
