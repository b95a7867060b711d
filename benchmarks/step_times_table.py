"""The table of step times that plans for machines are made of, from measurements.

    python -m benchmarks.step_times_table --out=mothernets_jax/runs/step_times.json

Reads what was measured on accelerators in benchmarks/results/gpu/; to add a device,
measure it (`benchmarks/gpu_all.py`), and add its rows here. Steps are those of training
by labels alone, with crops and flips, SGD with momentum and no average of the weights.
"""

import json
import statistics
from pathlib import Path

from absl import app, flags

from mothernets_jax.growth.mothernet import mothernet
from mothernets_jax.presets import v5
from mothernets_jax.storage import files

_OUT = flags.DEFINE_string("out", None, "JSON file of the table.", required=True)

SOURCE = Path("benchmarks/results/gpu/first_look_h100.json")
DEVICE, DTYPE, SHAPE, BATCH = "NVIDIA H100 80GB HBM3", "bfloat16", (32, 32, 3), 128
# Of that run, by full_width_h100.json, whose later run has the same settings.
STEPS_PER_EPOCH = 352


def make_table(found: dict) -> dict:
    """The content of the table, from that of `SOURCE`."""
    networks = v5()
    networks["mothernet_1"] = mothernet(list(networks.values()))

    def row(name: str, seconds: float, batch: int = BATCH, members: int = 1) -> dict:
        return {
            "network": str(networks[name]),
            "input_shape": list(SHAPE),
            "batch_size": batch,
            "members": members,
            "step_seconds": seconds,
        }

    steps, hatching = [], []
    for stage in found["run_of_mothernets"]["stages"].values():
        ((name, epochs),) = stage["epochs"].items()
        clocks = stage["clocks"]
        steps.append(row(name, clocks["train_seconds"] / epochs / STEPS_PER_EPOCH))
        if clocks["hatch_seconds"]:
            hatching.append(clocks["hatch_seconds"])
    for words, batch, members in (
        ("one member, batch 512", 512, 1),
        ("five members, vmap", BATCH, 5),
    ):
        seconds = found["rows"][words]["milliseconds_a_step"] / 1e3
        steps.append(row("V16", seconds, batch, members))
    return {
        DEVICE: {
            "source": str(SOURCE),
            "dtype": DTYPE,
            "hatch_seconds": statistics.median(hatching),
            "steps": steps,
        }
    }


def main(_argv: list[str]) -> None:
    table = make_table(json.loads(SOURCE.read_text(encoding="utf-8")))
    files.write_json(Path(_OUT.value), table)


if __name__ == "__main__":
    app.run(main)
