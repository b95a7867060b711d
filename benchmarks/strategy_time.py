"""The strategies that step a group, against the number of its members; with a plot.

    python -m benchmarks.strategy_time --out=benchmarks/results/FILE.json \
        --plot=docs/images/FILE.png

All contestants take turns in one run; the figures are medians. A program's compilation
is timed too: what `unroll` saves in steps it can lose there.
"""

import time

import jax
import matplotlib
from absl import app, flags
from matplotlib.ticker import FixedLocator, NullLocator

from benchmarks.jax_contestants import Work, training_steps
from benchmarks.plots import write_plot
from benchmarks.turns import medians, take_turns, write_results
from mothernets_jax.presets import v5
from mothernets_jax.report.plots import style
from mothernets_jax.training.group_step import STRATEGIES

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_PLOT = flags.DEFINE_string("plot", None, "PNG file of the plot; default: none.")
_SIZES = flags.DEFINE_list("sizes", ["1", "2", "4", "8", "16"], "Members of a group.")
_NETWORK = flags.DEFINE_string("network", "V13", "Of V5.")
_WIDTH = flags.DEFINE_float("width", 0.125, "Of that network.")
_SIDE = flags.DEFINE_integer("side", 8, "Height and width of the images, pixels.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 4, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each contestant.")

COLOURS = dict(zip(STRATEGIES, ("#0072b2", "#009e73", "#d55e00"), strict=True))


def draw(rows: list[dict], title: str, path: str) -> None:
    """Milliseconds a member and step, a line for each strategy."""
    with matplotlib.rc_context(style.STYLE):
        figure = style.new_figure(style.WIDE, 320)
        axes = style.axes_within(figure, left=60, bottom=48, right=24, top=40)
        for strategy, colour in COLOURS.items():
            own = [row for row in rows if row["strategy"] == strategy]
            axes.plot(
                [row["members"] for row in own],
                [1e3 * row["seconds_per_member_step"] for row in own],
                "-o",
                color=colour,
                linewidth=2,
                label=strategy,
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator([row["members"] for row in rows]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("members of the group")
        axes.set_ylabel("ms a member and step")
        axes.set_title(title, loc="left", fontsize=12)
        axes.legend(labelcolor=style.MUTED)
        write_plot(path, figure)


def main(argv: list[str]) -> None:
    del argv
    network = v5(_WIDTH.value)[_NETWORK.value]
    work = Work(_SIDE.value, _BATCH.value, _STEPS.value)
    contestants, prepared = {}, {}
    for size in map(int, _SIZES.value):
        for strategy in STRATEGIES:
            started = time.perf_counter()
            contestants[f"{size}, {strategy}"] = training_steps(
                network, work, members=size, strategy=strategy
            )
            prepared[f"{size}, {strategy}"] = time.perf_counter() - started
    seconds = take_turns(contestants, _REPEATS.value)
    rows = []
    for name, median in medians(seconds).items():
        size, strategy = name.split(", ")
        share = median / int(size) / work.steps
        rows.append(
            {
                "members": int(size),
                "strategy": strategy,
                "seconds_per_member_step": share,
                "preparation_seconds": prepared[name],
                "seconds": seconds[name],
            }
        )
        print(
            f"{size:>3} members, {strategy:6} {1e3 * share:8.2f} ms a member and step, "
            f"prepared in {prepared[name]:.1f} s"
        )
    settings = {**work._asdict(), "network": _NETWORK.value, "width": _WIDTH.value}
    write_results(_OUT.value, {"settings": settings, "rows": rows})
    if _PLOT.value:
        title = (
            f"{_NETWORK.value} at {_WIDTH.value:g} of its widths, {work.side}x"
            f"{work.side} images, batch {work.batch}, {jax.devices()[0].device_kind}"
        )
        draw(rows, title, _PLOT.value)


if __name__ == "__main__":
    app.run(main)
