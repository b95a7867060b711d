"""Hatching against one epoch of the member's training, at the paper's widths.

    python -m benchmarks.hatching_time --out=benchmarks/results/hatching_time.json

Both are compiled programs that take turns; the figures are medians. Of an epoch of
50,000 images a few steps are timed, and the rest is extrapolated.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks.jax_contestants import CLASSES, Work, training_steps
from benchmarks.turns import Contestant, medians, take_turns, timed, write_results
from mothernets_jax.architectures import Architecture
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.mothernet import mothernet
from mothernets_jax.models.variables import init
from mothernets_jax.presets import v5
from mothernets_jax.runtime.compilation import use_persistent_cache

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_WIDTH = flags.DEFINE_float("width", 1.0, "Of V5.")
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images, pixels.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 2, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns.")

EPOCH_IMAGES, STATISTICS_IMAGES = 50_000, 512


def hatching(mother: Architecture, member: Architecture, side: int) -> Contestant:
    """Growing a member, with statistics from a batch of images, compiled."""
    variables = init(mother, jax.random.key(0), (side, side, 3), CLASSES)
    shape, rng = (STATISTICS_IMAGES, side, side, 3), np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=shape), jnp.float32)
    key = jax.random.key(1)
    grow = jax.jit(hatch, static_argnums=(1, 2))
    grown = grow.lower(variables, mother, member, key, images=images).compile()
    return timed(lambda: grown(variables, key, images=images))


def main(argv: list[str]) -> None:
    del argv
    use_persistent_cache()
    members = v5(_WIDTH.value)
    mother = mothernet(members.values())
    work = Work(_SIDE.value, _BATCH.value, _STEPS.value)
    rows = []
    for name, member in members.items():
        contestants = {
            "hatch": hatching(mother, member, work.side),
            "train": training_steps(member, work),
        }
        seconds = take_turns(contestants, _REPEATS.value)
        times = medians(seconds)
        epoch = times["train"] / work.steps * EPOCH_IMAGES / work.batch
        share = times["hatch"] / epoch
        rows.append(
            {
                "member": name,
                "hatching_seconds": times["hatch"],
                "extrapolated_epoch_seconds": epoch,
                "share_of_an_epoch": share,
                "seconds": seconds,
            }
        )
        print(f"{name}: hatching takes {share:.3%} of an epoch", flush=True)
    epoch = (
        f"{EPOCH_IMAGES:,} images, extrapolated from {work.steps} steps of {work.batch}"
    )
    settings = {"width": _WIDTH.value, **work._asdict()}
    write_results(_OUT.value, {"settings": settings, "epoch": epoch, "rows": rows})


if __name__ == "__main__":
    app.run(main)
