"""The picture of a run's plan: the parts that networks inherit from MotherNets."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mothernets_jax.architectures import named_units, parse
from mothernets_jax.growth.mothernet import matched_units
from mothernets_jax.report.plots.style import (
    FAINT,
    INHERITED,
    INK,
    MUTED,
    NEW,
    WIDE,
    clip,
    new_figure,
)
from mothernets_jax.utils.formatting import percent, quantity


class Network(NamedTuple):
    """A row of the plan: a MotherNet, or the members of one architecture.

    Attributes:
        title: names of the networks.
        details: two lines of text below the title.
        parameters: number of parameters of one network.
        inherited_share: share of the parameters that come from the MotherNet, 0 to 1.
        layers: section by section, (width inherited, width, whether the filter grew)
            of each layer; empty where the notation cannot be read.
    """

    title: str
    details: tuple[str, str]
    parameters: int
    inherited_share: float
    layers: tuple[tuple[tuple[int, int, bool], ...], ...]


def family_of(cluster: dict) -> list[Network]:
    """Rows of a cluster: the MotherNet, then one for each architecture of its members.

    Args:
        cluster: a cluster of the run's plan in `results.json`.
    """
    mother, members = cluster["architecture"], cluster["members"]
    size, count = cluster["parameters"], len(members)
    details = (
        f"{quantity(size)} parameters",
        f"shared by {count} network{'' if count == 1 else 's'}",
    )
    rows = [Network(cluster["name"], details, size, 1.0, _layers(mother, mother))]
    for notation in dict.fromkeys(member["architecture"] for member in members):
        alike = [member for member in members if member["architecture"] == notation]
        size, share = alike[0]["parameters"], alike[0]["inherited_share"]
        changes = {
            "widened": alike[0]["widened_layers"],
            "inserted": alike[0]["inserted_layers"],
            "enlarged": alike[0]["enlarged_filters"],
        }
        changed = ", ".join(f"{n} {word}" for word, n in changes.items() if n)
        details = (
            f"{quantity(size)} parameters, {percent(share, 0)} inherited",
            f"layers: {changed}" if changed else "the MotherNet’s own layers",
        )
        title = ", ".join(member["name"] for member in alike)
        rows.append(Network(title, details, size, share, _layers(mother, notation)))
    return rows


def draw_plan(families: Sequence[Sequence[Network]], width: int) -> Figure | None:
    """Draws each cluster's MotherNet, then its members, with inherited and new parts.

    Args:
        families: rows of each cluster, the MotherNet first.
        width: width of the figure in pixels.

    Returns:
        The figure; None without networks.
    """
    networks = list(chain(*families))
    if not networks:
        return None
    few = len(networks) <= 24  # of more, each shows a bar of its parameters
    layered = few and all(network.layers for network in networks)
    lines = 3 if few else 2  # of text, 16 pixels each
    high = 40 if layered else 12  # pixels of a row's bars
    left, beside = (290, 0) if width >= WIDE else (18, 16 * lines + 4)
    row_height = max(16 * lines, beside + high) + 18
    height = 56 + row_height * len(networks) + 10 * len(families)
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    _draw_plan_legend(axes, networks if layered else [])
    y = 56
    for family in families:
        stem = y + row_height * (len(family) - 1) + 8
        axes.plot([4, 4], [y + 16 * lines + 2, stem], color=FAINT, linewidth=2)
        for row, network in enumerate(family):
            if row:
                axes.plot([3, 13], [y + 8, y + 8], color=FAINT, linewidth=2)
            for line, text in enumerate((network.title, *network.details)[:lines]):
                fits = (width if beside else left) - 24  # pixels
                text = clip(text, fits / (6.4 if line else 8.6))
                label = axes.text(18 if row else 0, y + 8 + 16 * line, text)
                label.set(va="center", color=MUTED if line else INK)
                label.set(fontsize=11 if line else 12.5, weight=400 if line else 700)
            box = (left, y + beside, width - left - 4, high)
            if layered:
                _draw_layers(axes, network, family, *box)
            else:
                _draw_parameters(axes, network, networks, *box)
            y += row_height
        y += 10
    return figure


def _layers(mother: str, member: str) -> tuple:
    """`Network.layers` of a member, matched as `hatch` matches them."""
    try:
        parent, child = parse(mother), parse(member)
        matches = matched_units(parent, child)
    except ValueError:  # notation of another version, say
        return ()
    twins = dict(named_units(parent))
    sections = []
    for names, units in zip(child.unit_names, child.sections, strict=True):
        layers = []
        for name, unit in zip(names, units, strict=True):
            twin, inherited = unit, 0
            if name in matches:
                twin, first = twins[matches[name].unit], matches[name].first_channel
                inherited = min(unit.width, twin.width - first)
            sizes = [getattr(u, "filter_size", 0) for u in (unit, twin)]
            layers.append((inherited, unit.width, sizes[0] > sizes[1]))
        sections.append(tuple(layers))
    return tuple(sections)


def _draw_plan_legend(axes: Axes, layered: Sequence[Network]) -> None:
    """Explains colours and shapes; `layered` are the networks shown by layers."""
    style = {"va": "center", "fontsize": 11, "color": MUTED}
    for x, colour, text in ((0, INHERITED, "from the MotherNet"), (150, NEW, "new")):
        axes.add_patch(Rectangle((x, 4), 12, 12, color=colour))
        axes.text(x + 18, 10, text, style)
    if any(grew for network in layered for *_, grew in chain(*network.layers)):
        axes.plot(220, 10, "^", color=INK, markersize=6)
        axes.text(230, 10, "larger filter", style)
    shape = "column is a layer, its height the layer’s width"
    shape = shape if layered else "bar is a network, its length the parameters"
    axes.text(0, 29, f"Each {shape}.", style)


def _draw_layers(axes, network: Network, family, left, top, width, height) -> None:
    """Draws a column for each layer, its height the layer's width."""
    layers = [other.layers for other in family]
    depths = [max(map(len, sections)) for sections in zip(*layers, strict=True)]
    pitch = min(30.0, width / (sum(depths) + 0.7 * len(depths)))
    widest = max(units for _, units, _ in chain(*chain(*layers)))
    foot = top + height
    for number, section in enumerate(network.layers):
        for position, (inherited, units, grew) in enumerate(section):
            x = left + pitch * (sum(depths[:number]) + 0.7 * number + position)
            tall, kept = (height * w / widest for w in (units, inherited))
            across = 0.82 * pitch
            axes.add_artist(Rectangle((x, foot - tall), across, tall - kept, color=NEW))
            axes.add_artist(Rectangle((x, foot - kept), across, kept, color=INHERITED))
            if grew:
                marker = axes.plot(x + across / 2, foot - tall - 5, "^", markersize=5)
                marker[0].set_color(INK)


def _draw_parameters(axes, network: Network, networks, left, top, width, height):
    """Draws one bar, its length the number of the network's parameters."""
    scale = width / max(n.parameters for n in networks)
    total = scale * network.parameters
    kept = network.inherited_share * total
    axes.add_patch(Rectangle((left, top + 2), kept, height, color=INHERITED))
    axes.add_patch(Rectangle((left + kept, top + 2), total - kept, height, color=NEW))
