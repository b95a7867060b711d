"""A training step under options of XLA: what each gains, and how it compiles.

    python -m benchmarks.compiler_options --out=benchmarks/results/FILE.json

All contestants take turns in one run; the figures are medians. They are compiled one
after another in one process. On a GPU it remembers what it has autotuned, so that only
the first one's seconds of compilation are those of a cold start.
"""

import time

from absl import app, flags

from benchmarks.jax_contestants import CLASSES, Work, training_steps
from benchmarks.turns import medians, take_turns, write_results
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.presets import v5
from mothernets_jax.runtime.compilation import HASTY, UNTUNED, on_gpu

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_NETWORK = flags.DEFINE_string("network", "V16", "Of V5.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Of that network.")
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images, pixels.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 50, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each contestant.")

_IN_GRAPHS = "xla_gpu_enable_command_buffer"
_USUALLY_IN_GRAPHS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION"
ON_GPU = {
    "as usual": None,
    "convolutions, too, in CUDA graphs": {
        _IN_GRAPHS: f"{_USUALLY_IN_GRAPHS},CONVOLUTION"
    },
    "no CUDA graphs": {_IN_GRAPHS: ""},
    "not autotuned": UNTUNED,
}
ON_CPU = {"as usual": None} | {
    f"{key}={HASTY[key]}": {key: HASTY[key]} for key in HASTY
}
ON_CPU |= {"hasty": HASTY}


def main(argv: list[str]) -> None:
    del argv
    work = Work(_SIDE.value, _BATCH.value, _STEPS.value)
    network = v5(_WIDTH.value)[_NETWORK.value]
    contestants, compile_seconds = {}, {}
    for name, options in (ON_GPU if on_gpu() else ON_CPU).items():
        started = time.perf_counter()
        contestants[name] = training_steps(network, work, options=options)
        compile_seconds[name] = time.perf_counter() - started
    seconds = take_turns(contestants, _REPEATS.value)
    flops = train_flops(network, (work.side, work.side, 3), CLASSES) * work.batch
    rows = {
        name: {
            "milliseconds_a_step": 1e3 * turn / work.steps,
            "tflops_per_second": flops * work.steps / turn / 1e12,
            "compile_seconds": compile_seconds[name],
        }
        for name, turn in medians(seconds).items()
    }
    settings = {
        **work._asdict(),
        "network": f"{_NETWORK.value}, width {_WIDTH.value}",
    }
    write_results(_OUT.value, {"settings": settings, "rows": rows, "seconds": seconds})
    for name, row in rows.items():
        print(
            f"{name:36}{row['milliseconds_a_step']:9.3f} ms a step,"
            f"{row['compile_seconds']:7.1f} s to build"
        )


if __name__ == "__main__":
    app.run(main)
