"""A convolution and its two gradients against PyTorch's, inside a loop and outside.

    python -m benchmarks.convolution_time --out=benchmarks/results/FILE.json

Inside: `calls` of them in one compiled loop, as training does. Outside: as many calls
of a compiled program, and as many of PyTorch's (eager, channels_last). All contestants
of a shape take turns; the figures are medians, milliseconds a convolution.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from absl import app, flags

from benchmarks.torch_process import TorchProcess
from benchmarks.turns import Contestant, medians, take_turns, timed, write_results
from mothernets_jax.models.layers import conv
from mothernets_jax.runtime.devices import compute_dtype

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SHAPES = flags.DEFINE_list(
    "shapes",
    ["32x16x16", "16x32x32", "8x64x64", "32x64x64", "8x256x256"],
    "SIDExINxOUT: the image's side in pixels, the channels read and written.",
)
_BATCH = flags.DEFINE_integer("batch", 128, "Images.")
_FILTER = flags.DEFINE_integer("filter", 3, "Side of the kernel.")
_CALLS = flags.DEFINE_integer("calls", 5, "Convolutions of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each contestant.")

# Each of (images, kernel, gradient by the outputs).
OPERATIONS: dict[str, Callable[..., jax.Array]] = {
    "forward": lambda images, kernel, grads: conv(images, kernel),
    "image_gradient": lambda images, kernel, grads: jax.vjp(
        lambda x: conv(x, kernel), images
    )[1](grads)[0],
    "kernel_gradient": lambda images, kernel, grads: jax.vjp(
        lambda k: conv(images, k), kernel
    )[1](grads)[0],
}


def jax_rows(name: str, side: int, inputs: int, outputs: int) -> dict[str, Contestant]:
    """An operation inside a loop and outside, by name."""
    operation, calls = OPERATIONS[name], _CALLS.value
    dtype = compute_dtype("auto") or jnp.float32
    keys = jax.random.split(jax.random.key(0), 3)
    size = _FILTER.value
    images = jax.random.normal(keys[0], (_BATCH.value, side, side, inputs), dtype)
    kernel = jax.random.normal(keys[1], (size, size, inputs, outputs), dtype)
    grads = jax.random.normal(keys[2], (_BATCH.value, side, side, outputs), dtype)

    def body(i, operands):
        # One entry of each operand comes from the result before, in place, or the
        # compiler would take the convolution out of the loop.
        entry = operation(*operands)[0, 0, 0, 0]
        return tuple(operand.at[0, 0, 0, 0].set(entry) for operand in operands)

    loop = jax.jit(lambda *operands: jax.lax.fori_loop(0, calls, body, operands))
    alone = jax.jit(operation)
    return {
        "inside": timed(lambda: loop(images, kernel, grads)),
        "outside": timed(lambda: [alone(images, kernel, grads) for _ in range(calls)]),
    }


def main(argv: list[str]) -> None:
    del argv
    process = TorchProcess()
    seconds = {}
    for shape in _SHAPES.value:
        side, inputs, outputs = map(int, shape.split("x"))
        contestants = {}
        for operation in OPERATIONS:
            rows = jax_rows(operation, side, inputs, outputs)
            theirs = process.make(
                f"{operation}, PyTorch",
                "convolution",
                operation=operation,
                side=side,
                inputs=inputs,
                outputs=outputs,
                batch=_BATCH.value,
                filter_size=_FILTER.value,
                calls=_CALLS.value,
            )
            contestants |= {f"{operation}, {how}": run for how, run in rows.items()}
            contestants |= theirs
        seconds[shape] = take_turns(contestants, _REPEATS.value)
        for name, median in medians(seconds[shape]).items():
            print(f"{shape:10} {name:25} {1e3 * median / _CALLS.value:8.2f} ms")
    process.close()
    milliseconds = {
        shape: {
            name: 1e3 * median / _CALLS.value for name, median in medians(times).items()
        }
        for shape, times in seconds.items()
    }
    results = {
        "torch": process.description,
        "left_out": process.left_out,
        "settings": {
            "batch": _BATCH.value,
            "filter": _FILTER.value,
            "calls": _CALLS.value,
        },
        "milliseconds": milliseconds,
        "seconds": seconds,
    }
    write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
