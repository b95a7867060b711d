"""What an ensemble costs as it grows: MotherNets against full data, FLOPs and seconds.

    python -m benchmarks.cost_curve --out=benchmarks/results/cost_curve.json

The members are the paper's V5, over and over; networks that start from scratch train
for 200 epochs. FLOPs are exact arithmetic. Seconds are those of training alone, without
compiling, evaluating and hatching: a few steps of every distinct network are timed, all
in turns, and the median makes its epoch of 50,000 images; --noseconds leaves them out.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from absl import app, flags

from benchmarks.jax_contestants import CLASSES, Work, training_steps
from benchmarks.turns import medians, take_turns, write_results
from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.growth.clustering import Cluster, cluster
from mothernets_jax.presets import v5
from mothernets_jax.runtime.compilation import use_persistent_cache

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_EPOCHS = flags.DEFINE_integer("epochs", 200, "Of networks that start from scratch.")
_HATCHED = flags.DEFINE_list("hatched", ["10", "20", "40"], "Epochs after hatching.")
_MEMBERS = flags.DEFINE_list("members", ["2", "5", "10", "15", "20", "25"], "Sizes.")
_CLUSTERS = flags.DEFINE_list("clusters", ["1", "2"], "Numbers of clusters.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Of V5.")
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images, pixels.")
_SECONDS = flags.DEFINE_bool("seconds", True, "Whether to time the networks, too.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step that is timed.")
_STEPS = flags.DEFINE_integer("steps", 2, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns of each network.")

EPOCH_IMAGES = 50_000

# What an epoch of a network costs, in FLOPs or in seconds.
EpochCosts = Mapping[Architecture, float]


def grown_v5(size: int) -> dict[str, Architecture]:
    """The first members of V5, V5 again, and so on."""
    base = list(v5(_WIDTH.value).items())
    endless = ((f"{name}_{i}", a) for i in range(1, size + 1) for name, a in base)
    return dict(islice(endless, size))


def clustered(size: int, number: int) -> tuple[Cluster, ...]:
    """That many members in that many clusters."""
    shape = (_SIDE.value, _SIDE.value, 3)
    return cluster(
        grown_v5(size), num_clusters=number, input_shape=shape, num_classes=CLASSES
    )


def epoch_flops(network: Architecture) -> float:
    """Training FLOPs of an epoch."""
    shape = (_SIDE.value, _SIDE.value, 3)
    return EPOCH_IMAGES * train_flops(network, shape, CLASSES)


def time_epochs(networks: Iterable[Architecture]) -> dict[Architecture, float]:
    """Seconds of an epoch of each, extrapolated from a few steps."""
    work = Work(_SIDE.value, _BATCH.value, _STEPS.value)
    by_notation = {str(network): network for network in networks}
    contestants = {name: training_steps(a, work) for name, a in by_notation.items()}
    steps = EPOCH_IMAGES / work.batch
    return {
        by_notation[name]: median / work.steps * steps
        for name, median in medians(take_turns(contestants, _REPEATS.value)).items()
    }


def compare(
    size: int, clusters: Iterable[Cluster], hatched: int, costs: EpochCosts
) -> dict[str, float]:
    """What MotherNets and full data cost, and the first as a share of the second."""
    once = sum(costs[member] for member in grown_v5(size).values())
    mothers = sum(costs[found.mothernet] for found in clusters)
    full = _EPOCHS.value * once
    ours = _EPOCHS.value * mothers + hatched * once
    return {"mothernets": ours, "full_data": full, "share": ours / full}


def main(argv: list[str]) -> None:
    del argv
    use_persistent_cache()
    sizes = [int(size) for size in _MEMBERS.value]
    numbers = [int(number) for number in _CLUSTERS.value]
    clusters = {(s, n): clustered(s, n) for s in sizes for n in numbers}
    mothers = [found.mothernet for each in clusters.values() for found in each]
    networks = {*grown_v5(max(sizes)).values(), *mothers}
    costs: dict[str, EpochCosts] = {"flops": {a: epoch_flops(a) for a in networks}}
    if _SECONDS.value:
        costs["seconds"] = time_epochs(sorted(networks, key=str))
    rows = []
    for (size, number), found in clusters.items():
        for hatched in map(int, _HATCHED.value):
            figures = {
                unit: compare(size, found, hatched, of_epoch)
                for unit, of_epoch in costs.items()
            }
            row = {"members": size, "clusters": number, "hatched_epochs": hatched}
            rows.append({**row, **figures})
            shares = ", ".join(f"{u} {f['share']:.1%}" for u, f in figures.items())
            print(
                f"{size:3} members, {number} clusters, {hatched:3} epochs after "
                f"hatching, of full data's: {shares}"
            )
    write_results(
        _OUT.value,
        {
            "settings": {
                "epochs": _EPOCHS.value,
                "epoch_images": EPOCH_IMAGES,
                "width": _WIDTH.value,
                **Work(_SIDE.value, _BATCH.value, _STEPS.value)._asdict(),
            },
            "epoch_costs": {
                unit: {str(a): cost for a, cost in sorted(of.items(), key=str)}
                for unit, of in costs.items()
            },
            "rows": rows,
        },
    )


if __name__ == "__main__":
    app.run(main)
