"""Hatching against one epoch of the member's training, at the paper's widths.

    python benchmarks/hatching_time.py --out=benchmarks/results/hatching_time.json

Both are compiled programs, run in turns; the figures are medians. An epoch is 50,000
images, of which a few steps are timed.
"""

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from mothernets_jax import checkpoints, run_log
from mothernets_jax.augment import Sides
from mothernets_jax.devices import compute_dtype, device_name
from mothernets_jax.groups import StepsInputs, make_orders, make_steps, new_group
from mothernets_jax.hatching import hatch
from mothernets_jax.models import init
from mothernets_jax.mothernet import mothernet
from mothernets_jax.presets import v5
from mothernets_jax.training import Augmentation, TrainingData, new_state

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_WIDTH = flags.DEFINE_float("width", 1.0, "Of V5.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 2, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns.")

IMAGE, CLASSES, EPOCH_IMAGES, STATISTICS_IMAGES = (32, 32, 3), 10, 50_000, 512


def seconds_of(run: Callable) -> float:
    """How long a call takes until its results are there."""
    started = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - started


def main(argv: list[str]) -> None:
    del argv
    members = v5(_WIDTH.value)
    mother = mothernet(members.values())
    variables = init(mother, jax.random.key(0), IMAGE, CLASSES)
    batch, steps = _BATCH.value, _STEPS.value
    rng = np.random.default_rng(0)
    data = TrainingData(
        jnp.asarray(rng.integers(0, 256, (batch * steps, 40, 40, 3), np.uint8)),
        jnp.asarray(rng.integers(0, CLASSES, batch * steps).astype(np.int32)),
        jnp.full(3, 120.0),
        jnp.full(3, 60.0),
    )
    images = jnp.asarray(rng.normal(size=(STATISTICS_IMAGES, *IMAGE)), jnp.float32)
    keys = jax.random.split(jax.random.key(1), 1)
    indices, step_keys = make_orders(batch * steps, batch)(keys)
    rates = jnp.full((1, steps), 0.01)
    zero, sides = jnp.zeros(1), Sides(keys, jnp.zeros(1, jnp.int32))
    active = jnp.ones(1, bool)
    inputs = StepsInputs(indices, step_keys, rates, zero, zero, sides, active)
    bounds = np.int32(0), np.int32(steps)
    rows = []
    for name, member in members.items():
        grow = jax.jit(hatch, static_argnums=(1, 2))
        args = (variables, mother, member, keys[0])
        grown = grow.lower(*args, images=images).compile()
        hatching = lambda grown=grown: grown(variables, keys[0], images=images)
        state = new_group([new_state(hatching())])
        function = make_steps(
            member, Augmentation(4, flip="random"), "loop", compute_dtype("auto")
        )
        train = function.lower(state, data, inputs, *bounds).compile()
        times = {"hatch": [], "train": []}
        for turn in range(_REPEATS.value + 1):
            hatched = seconds_of(hatching)
            started = time.perf_counter()
            state = jax.block_until_ready(train(state, data, inputs, *bounds))
            trained = time.perf_counter() - started
            if turn:  # the first warms up
                times["hatch"].append(hatched)
                times["train"].append(trained)
        epoch = float(np.median(times["train"])) / steps * EPOCH_IMAGES / batch
        share = float(np.median(times["hatch"])) / epoch
        rows.append({"member": name, "share_of_an_epoch": share, "seconds": times})
        print(f"{name}: hatching takes {share:.3%} of an epoch", flush=True)
    provenance = run_log.provenance(shlex.join(["python", *sys.argv]), device_name())
    checkpoints.write_json(
        Path(_OUT.value),
        {"provenance": provenance, "width": _WIDTH.value, "rows": rows},
    )


if __name__ == "__main__":
    app.run(main)
