"""Ensembles in onnxruntime beside our own `predict`: milliseconds, sizes, differences.

    python -m benchmarks.onnx_time --out=benchmarks/results/FILE.json

Each is the whole ensemble, from raw pixels to averaged probabilities; both take turns.
The first turn, in which we compile, is not counted. Weights are random, running
statistics those of an untrained network: neither changes the time.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import onnxruntime
from absl import app, flags, logging

import mothernets_jax as mn
from benchmarks.turns import medians, take_turns, write_results
from mothernets_jax.utils.pytrees import named_key

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_ENSEMBLES = flags.DEFINE_list(
    "ensembles", ["v5_thin", "resnet", "wide", "densenet", "mlp"], "Which."
)
_BATCHES = flags.DEFINE_list("batches", ["1", "256"], "Images of a call.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Turns of each contestant.")
_IMAGES = flags.DEFINE_integer("images", 1000, "Images that are compared.")

SHAPE, CLASSES = (32, 32, 3), 10
ENSEMBLES: dict[str, Callable[[], dict[str, mn.Architecture]]] = {
    "v5_thin": lambda: mn.presets.v5(width=0.25),
    "resnet": lambda: {
        f"R{2 + 4 * n}": mn.resnet(
            [(16 * 2**stage, [(3, 16 * 2**stage)] * n) for stage in range(3)]
        )
        for n in (1, 2, 3)
    },
    "wide": lambda: {"A": mn.wide_resnet(16, 2), "B": mn.wide_resnet(10, 4)},
    "densenet": lambda: {
        "A": mn.densenet("(3:12)x8 | (3:12)x8 | (3:12)x8"),
        "B": mn.densenet("(3:12)x8 | (3:12)x8", bottleneck=4, compression=0.5),
    },
    "mlp": lambda: {"A": mn.mlp((512, 256)), "B": mn.mlp((256,) * 4, batch_norm=True)},
}


def rested(run: Callable[[], object]) -> Callable[[], float]:
    """A contestant that first lets the other's threads come to rest."""

    def turn() -> float:
        time.sleep(0.02)
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return turn


def measured(name: str, folder: Path) -> dict:
    """The figures of one ensemble."""
    members = {
        n: (own, mn.init(own, named_key(jax.random.key(0), n), SHAPE, CLASSES))
        for n, own in ENSEMBLES[name]().items()
    }
    ensemble = mn.Ensemble(members, mean=120.0, std=60.0, input_shape=SHAPE)
    ensemble.export(folder / "own.onnx")
    ensemble.save(folder / "saved")
    session = onnxruntime.InferenceSession(
        folder / "own.onnx", providers=["CPUExecutionProvider"]
    )
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (_IMAGES.value, *SHAPE), np.uint8)
    files = [path for path in (folder / "saved").rglob("*") if path.is_file()]
    row = {
        "members": {n: str(own) for n, (own, _) in members.items()},
        "parameters": ensemble.num_params,
        "onnx_bytes": (folder / "own.onnx").stat().st_size,
        "saved_bytes": sum(path.stat().st_size for path in files),
        "milliseconds": {},
        "largest_difference": {},
    }
    for batch in map(int, _BATCHES.value):
        ours = np.concatenate(
            [
                ensemble.predict(images[start : start + batch], batch_size=batch)
                for start in range(0, len(images), batch)
            ]
        )
        theirs = np.concatenate(
            [
                session.run(None, {"inputs": images[start : start + batch]})[0]
                for start in range(0, len(images), batch)
            ]
        )
        row["largest_difference"][batch] = float(np.abs(ours - theirs).max())
        few = images[:batch]
        contestants = {
            "ours": rested(lambda few=few: ensemble.predict(few, batch_size=len(few))),
            "onnxruntime": rested(lambda few=few: session.run(None, {"inputs": few})),
        }
        middle = medians(take_turns(contestants, _REPEATS.value))
        row["milliseconds"][batch] = {n: 1e3 * own for n, own in middle.items()}
    return row


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)  # Orbax tells of each step
    rows = {}
    for name in _ENSEMBLES.value:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measured(name, Path(folder))
        for batch, own in rows[name]["milliseconds"].items():
            times = ", ".join(f"{what} {time:.2f} ms" for what, time in own.items())
            print(f"{name:10} {batch:5} images: {times}", flush=True)
    settings = {
        "cores": len(os.sched_getaffinity(0)),
        "onnxruntime": onnxruntime.__version__,
        "repeats": _REPEATS.value,
    }
    write_results(_OUT.value, {"settings": settings, "rows": rows})


if __name__ == "__main__":
    app.run(main)
