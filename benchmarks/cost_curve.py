"""What an ensemble costs as it grows: MotherNets against full data, in training FLOPs.

    python benchmarks/cost_curve.py --out=benchmarks/results/cost_curve.json

Exact arithmetic, nothing is trained. The members are the paper's V5, over and over, on
32x32 images; networks that start from scratch train for 200 epochs.
"""

import shlex
import sys
from itertools import islice
from pathlib import Path

from absl import app, flags

from mothernets_jax import checkpoints, run_log
from mothernets_jax.architectures import Architecture
from mothernets_jax.clustering import cluster
from mothernets_jax.costs import train_flops
from mothernets_jax.presets import v5

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_EPOCHS = flags.DEFINE_integer("epochs", 200, "Of networks that start from scratch.")
_HATCHED = flags.DEFINE_list("hatched", ["10", "20", "40"], "Epochs after hatching.")
_MEMBERS = flags.DEFINE_list("members", ["2", "5", "10", "15", "20", "25"], "Sizes.")
_CLUSTERS = flags.DEFINE_list("clusters", ["1", "2"], "Numbers of clusters.")

IMAGE, CLASSES = (32, 32, 3), 10


def grown_v5(size: int) -> dict[str, Architecture]:
    """The first members of V5, V5 again, and so on."""
    base = list(v5().items())
    endless = ((f"{name}_{i}", a) for i in range(1, size + 1) for name, a in base)
    return dict(islice(endless, size))


def flops_per_image(architectures) -> float:
    """Training FLOPs of all these networks on one image."""
    return sum(train_flops(a, IMAGE, CLASSES) for a in architectures)


def main(argv: list[str]) -> None:
    del argv
    rows = []
    for size in map(int, _MEMBERS.value):
        members = grown_v5(size)
        once = flops_per_image(members.values())
        for number in map(int, _CLUSTERS.value):
            clusters = cluster(
                members, num_clusters=number, input_shape=IMAGE, num_classes=CLASSES
            )
            mothers = flops_per_image(found.mothernet for found in clusters)
            for hatched in map(int, _HATCHED.value):
                full = _EPOCHS.value * once
                hatching = _EPOCHS.value * mothers + hatched * once
                rows.append(
                    {
                        "members": size,
                        "clusters": number,
                        "hatched_epochs": hatched,
                        "flops_per_image": hatching,
                        "share_of_full_data": hatching / full,
                    }
                )
                print(
                    f"{size:3} members, {number} clusters, {hatched:3} epochs after "
                    f"hatching: {hatching / full:.1%} of full data"
                )
    provenance = run_log.provenance(shlex.join(["python", *sys.argv]), "none")
    checkpoints.write_json(
        Path(_OUT.value),
        {"provenance": provenance, "epochs": _EPOCHS.value, "rows": rows},
    )


if __name__ == "__main__":
    app.run(main)
