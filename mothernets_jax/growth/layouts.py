"""Layouts in which the members of one MotherNet overlap least."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import Weight
from mothernets_jax.growth.walk import walk_along
from mothernets_jax.models.variables import abstract_variables
from mothernets_jax.utils.messages import short_repr
from mothernets_jax.utils.pytrees import named_key


class Layout(NamedTuple):
    """What a member copies, and its noise, beside the other members of a MotherNet.

    Attributes:
        starts: int32, the first of the mother's channels that is copied, by the name of
            the member's channels (see `Weight.channels`), for all that get wider; None
            where the member's own key decides.
        noise_key: the typed key of the noise, which a pair of members shares.
        noise_sign: float32, 1 or -1.
    """

    starts: dict[str, np.int32] | None
    noise_key: jax.Array
    noise_sign: np.float32


def opposite_layouts(
    mother: Architecture, members: Mapping[str, Architecture], key: jax.Array
) -> dict[str, Layout]:
    """Lays the members of one MotherNet out so that they have least in common.

    In each layer, the channels that members copy follow one another on the ring of the
    mother's channels: each member, in the order of their names, begins where the one
    before it has ended. So no channel is copied by two members while another is copied
    by none; over all members, no channel has two copies more than another. Layers of
    two members are the same where they continue the same layer of the MotherNet, or
    where both are inserted under one name.

    Members of one architecture, in the order of their names, form pairs with opposite
    noise; one without a partner has noise of its own. Shares are drawn anew for each
    member: those of the opposite kind, 1 - share, would be the same network with two
    channels exchanged.

    The result depends on the names and architectures alone, not on the order in which
    they are given or hatched.

    Args:
        mother: architecture of the MotherNet.
        members: architectures of all the members that it hatches, by name.
        key: the typed key from which each member's own is made by `named_key(key,
            name)`; in a run `named_key(jax.random.key(seed), "mothernets")`.

    Returns:
        The layouts by the members' names.

    Raises:
        ValueError: a member cannot be grown from the mother.

    >>> import mothernets_jax as mn
    >>> members = {"A": mn.mlp((5,)), "B": mn.mlp((6,)), "C": mn.mlp((5,))}
    >>> layouts = opposite_layouts(mn.mlp((4,)), members, jax.random.key(0))
    >>> [layouts[name].starts for name in members]
    [{'dense1': np.int32(0)}, {'dense1': np.int32(1)}, {'dense1': np.int32(3)}]
    """
    ends: dict[str, int] = {}
    unpaired: dict[Architecture, str] = {}
    layouts = {}
    for name in sorted(members):
        starts: dict[str, np.int32] = {}
        for channels, (place, width, copies) in _copies(mother, members[name]).items():
            start = ends.get(place, 0)
            starts[channels] = np.int32(start % width)
            ends[place] = start + copies
        partner = unpaired.pop(members[name], None)
        if partner is None:
            unpaired[members[name]] = name
        layouts[name] = Layout(
            starts,
            named_key(key, partner or name),
            np.float32(-1 if partner else 1),
        )
    return layouts


def check_layout(layout: Any, mother: Architecture, member: Architecture) -> None:
    """Raises ValueError unless a layout is one of such a member, or None."""
    if layout is None:
        return
    expected = "expected the member's own entry of mn.opposite_layouts, or None"
    if not isinstance(layout, Layout):
        raise ValueError(f"layout is {short_repr(layout)}: {expected}")
    found, wider = layout.starts, _copies(mother, member)
    if found is not None and found.keys() != wider.keys():
        names = short_repr(sorted(found)), short_repr(sorted(wider))
        raise ValueError(
            f"layout is that of another member: it is for channels {names[0]}, and "
            f"those that get wider are {names[1]}: {expected}"
        )


@functools.cache
def _copies(
    mother: Architecture, member: Architecture
) -> dict[str, tuple[str, int, int]]:
    """What a member copies, by the name of its channels.

    Returns:
        For all channels that get wider: a name of the place in the MotherNet, the
        number of the mother's channels, and how many copies are added to them.
    """
    theirs = {operation.name: operation for operation in mother.operations()}
    found: dict[str, tuple[str, int, int]] = {}

    def trace(params: dict, key: jax.Array) -> None:
        walk = walk_along(params, mother, member, key)
        for weight in member.operations():
            if not isinstance(weight, Weight) or weight.widened_by == "fresh":
                continue
            layer, _, outgoing = walk.origins[weight.name]
            width, channels = outgoing.mother_channels, weight.channels or weight.name
            copies = outgoing.source.shape[0] - width
            if layer is None or not copies or channels in found:
                continue
            place = f"new {channels}"
            if weight.name in walk.counterparts:
                continued = theirs[walk.counterparts[weight.name]]
                assert isinstance(continued, Weight)
                place = continued.channels or continued.name
            found[channels] = place, width, copies

    # Sizes are all that is asked for; of images and classes they do not depend.
    params = abstract_variables(mother, (8, 8, 1), 2)["params"]
    jax.eval_shape(trace, params, jax.random.key(0))
    return found
