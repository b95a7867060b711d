"""What it takes to compile V5's training programs: cold, and again from the cache.

    python -m benchmarks.compile_time --out=benchmarks/results/FILE.json

Two fresh processes share a persistent cache in a temporary folder, which is empty when
the first begins. Programs are compiled one after another: the MotherNet's, then the
members'.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
from absl import app, flags

from benchmarks.jax_contestants import Work, make_data, start_group, steps_function
from benchmarks.turns import write_results
from mothernets_jax.growth.mothernet import mothernet
from mothernets_jax.presets import v5
from mothernets_jax.runtime.compilation import ProgramStore, use_persistent_cache

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_WIDTH = flags.DEFINE_float("width", 1.0, "Of V5.")
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images, pixels.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_CHILD = flags.DEFINE_bool("child", False, "One of the two processes; used inside.")


def compile_all() -> dict[str, float]:
    """Seconds that tracing and compiling each network's program takes here."""
    members = v5(_WIDTH.value)
    work = Work(_SIDE.value, _BATCH.value, steps=1)
    store, seconds = ProgramStore(), {}
    data = jax.eval_shape(lambda: make_data(work))
    bound = jax.ShapeDtypeStruct((), "int32")
    for name, network in {
        "MotherNet": mothernet(members.values()),
        **members,
    }.items():
        keys = jax.random.split(jax.random.key(0), 1)
        state, inputs = jax.eval_shape(
            lambda keys, network=network: start_group(network, work, keys), keys
        )
        function = steps_function(network, "loop")
        program = store.program(function, state, data, inputs, bound, bound)
        program.compiled()
        seconds[name] = program.seconds
    return seconds


def in_fresh_process(cache: str) -> dict[str, float]:
    """`compile_all` by another process, with the package's cache in this folder."""
    command = [sys.executable, "-m", "benchmarks.compile_time", *sys.argv[1:]]
    run = subprocess.run(
        [*command, "--child"],
        env={**os.environ, "XDG_CACHE_HOME": cache},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def main(argv: list[str]) -> None:
    del argv
    if _CHILD.value:
        use_persistent_cache()
        print(json.dumps(compile_all()))
        return
    with tempfile.TemporaryDirectory() as cache:
        seconds = {when: in_fresh_process(cache) for when in ("cold", "warm")}
    totals = {when: sum(each.values()) for when, each in seconds.items()}
    for when, total in totals.items():
        print(f"{when}: {total:.1f} s for {len(seconds[when])} programs")
    settings = {"width": _WIDTH.value, "side": _SIDE.value, "batch": _BATCH.value}
    write_results(
        _OUT.value,
        {"settings": settings, "seconds": seconds, "total_seconds": totals},
    )


if __name__ == "__main__":
    app.run(main)
