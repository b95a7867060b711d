"""Time to an ensemble against devices, for every method, foretold for a device.

    python -m benchmarks.scaling_figure --device=H100 \
        --out=benchmarks/results/scaling_h100.json --plot=docs/images/scaling_h100.png

Every method trains 5 (V5), 25 (V25) and 100 (V100) networks at their full widths on as
many images as CIFAR-10 has, at one budget: 8 epochs of the reference network for each
member. Nothing is trained: the stages are those of a run, and so is their schedule
(`mothernets_jax.runs.predicted`), with step times from `runs/step_times.json` or
estimated from these. MotherNets twice: with the default share of the budget for their
own training, and with 0.3 of it. Undivided: the same with one device for each stage,
where no gradients are exchanged, which was not timed. Of several hosts nothing is said:
they train one stage at a time, on all devices.
"""

import matplotlib
import numpy as np
from absl import app, flags
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmarks.plots import write_plot
from benchmarks.turns import write_results
from configs import pareto, vgg_ensemble
from mothernets_jax.data import Dataset
from mothernets_jax.methods import read_settings
from mothernets_jax.presets import v5, v25, v100
from mothernets_jax.report.plots import style
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.predicted import TableTimes, predict
from mothernets_jax.runs.step_times import times_of
from mothernets_jax.stages.task import Task, make_task

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_PLOT = flags.DEFINE_string("plot", None, "PNG file of the figure.")
_DEVICE = flags.DEFINE_string("device", "H100", "A device whose steps were timed.")
_MEMBERS = flags.DEFINE_list("members", ["5", "25", "100"], "Ensembles: 5, 25, 100.")

NETWORKS = {"5": v5, "25": v25, "100": v100}
DEVICES = (1, 2, 4, 8, 16, 32, 64)
EXAMPLES, VALIDATION, SIDE, CLASSES = 45_125, 2_500, 32, 10
EPOCHS_A_MEMBER = 8.0
NEARLY = 1.05  # a time within 5% of that on the most devices
SMALL_SHARE = 0.3  # of the budget, for the MotherNets in their second row
SMALL = f"mothernets, share {SMALL_SHARE}"
RIVALS, COMPARED = ("snapshot", "fge"), (1, 2, 4, 8, 16)


def make_data() -> Dataset:
    """As many images as CIFAR-10 has, all black: nothing looks at them."""

    def split(examples: int) -> tuple[np.ndarray, np.ndarray]:
        images = np.zeros((examples, SIDE, SIDE, 3), np.uint8)
        return images, (np.arange(examples) % CLASSES).astype(np.int32)

    names = tuple(f"class {number}" for number in range(CLASSES))
    few = split(VALIDATION)
    statistics = np.zeros(3, np.float32), np.ones(3, np.float32)
    return Dataset(*split(EXAMPLES), *few, *few, *few, names, *statistics)


def rows_of(members: str, task: Task) -> list[dict]:
    """What is foretold of each method's ensemble of so many members."""
    config = vgg_ensemble.with_members(pareto.get_config("folder"), NETWORKS[members]())
    config.budget.epochs = EPOCHS_A_MEMBER * int(members)
    settings = read_settings(config)
    plans = method_plans(task, settings)
    config.methods = ("mothernets",)
    config.mother.budget_share = SMALL_SHARE
    plans[SMALL] = method_plans(task, read_settings(config))["mothernets"]
    times = TableTimes(times_of(_DEVICE.value), task, settings.strategy)
    rows = []
    for method, plan in plans.items():
        found = {count: predict(plan, task, count, times) for count in DEVICES}
        undivided = {n: predict(plan, task, n, times, placement="one") for n in DEVICES}
        last = found[DEVICES[-1]]
        enough = next(n for n in DEVICES if found[n].seconds <= NEARLY * last.seconds)
        rows.append(
            {
                "members": int(members),
                "method": method,
                "stages": len(plan.stages),
                "seconds": {str(n): own.seconds for n, own in found.items()},
                "undivided_seconds": {str(n): p.seconds for n, p in undivided.items()},
                "chain_seconds": {str(n): p.chain_seconds for n, p in found.items()},
                "busy_seconds": {str(n): own.busy_seconds for n, own in found.items()},
                "timed_share": {str(n): own.measured for n, own in found.items()},
                "enough_devices": enough,
            }
        )
    return rows


def advantages(rows: list[dict], clock: str) -> list[dict]:
    """How many times as long as MotherNets others take, by members and devices.

    Args:
        rows: what `rows_of` has found.
        clock: `seconds` or `undivided_seconds`.
    """
    seconds = {(row["members"], row["method"]): row[clock] for row in rows}
    return [
        {
            "members": members,
            "method": method,
            "rival": rival,
            "times_as_long": {
                str(n): seconds[members, rival][str(n)] / own[str(n)] for n in COMPARED
            },
        }
        for (members, method), own in seconds.items()
        if method in ("mothernets", SMALL)
        for rival in RIVALS
    ]


def draw(rows: list[dict], path: str) -> None:
    """A panel for each size of ensemble: seconds against devices, both logarithmic."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    looks = dict(zip(methods, map(_look, methods), strict=True))
    panels = {row["members"]: f"{row['members']} members" for row in rows}
    handles = [Line2D([], [], label=_label(name), **looks[name]) for name in methods]
    columns, room = style.legend_room(map(_label, methods), style.WIDE)
    with matplotlib.rc_context(style.STYLE):
        figure, axes = style.small_multiples(
            list(panels.values()),
            style.WIDE,
            columns=len(panels),
            height=360,
            edge=18,
            left=40,
            bottom=46 + room,
        )
        for row in rows:
            panel = axes[panels[row["members"]]]
            counts = [int(count) for count in row["seconds"]]
            panel.plot(counts, list(row["seconds"].values()), **looks[row["method"]])
        for panel in axes.values():
            panel.set(xscale="log", yscale="log", xlabel="devices")
            panel.xaxis.set_major_locator(FixedLocator(DEVICES))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            panel.yaxis.set_minor_locator(NullLocator())
            panel.tick_params(axis="both", which="both", labelsize=10)
        next(iter(axes.values())).set_ylabel("seconds")
        style.legend_below(figure, handles, columns)
        write_plot(path, figure)


def _look(method: str) -> dict:
    """Colour, marker and line of a method."""
    name = method.partition(",")[0]
    colour, marker = style.METHOD_STYLES[name]
    line = "-" if name == method else "--"
    width = 2.4 if name == "mothernets" else 1.3
    return {
        "color": colour,
        "marker": marker,
        "linestyle": line,
        "linewidth": width,
        "markersize": 5,
    }


def _label(method: str) -> str:
    name, comma, rest = method.partition(",")
    return f"{style.method_label(name)}{comma}{rest}"


def main(_argv: list[str]) -> None:
    task = make_task(
        make_data(),
        crop_padding=4,
        crop_border="black",
        flip="random",
        seed=0,
        batch_size=128,
    )
    rows = [row for members in _MEMBERS.value for row in rows_of(members, task)]
    for row in rows:
        shown = "  ".join(f"{seconds:8.1f}" for seconds in row["seconds"].values())
        print(f"{row['members']:4} {row['method']:24} {shown}", flush=True)
    times = times_of(_DEVICE.value)
    results = {
        "device": times.device,
        "fit": times.fit._asdict(),
        "rows": rows,
        "advantages": advantages(rows, "seconds"),
        "undivided_advantages": advantages(rows, "undivided_seconds"),
    }
    write_results(_OUT.value, results)
    if _PLOT.value:
        draw(rows, _PLOT.value)


if __name__ == "__main__":
    app.run(main)
