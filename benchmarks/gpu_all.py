"""The whole measurement on one GPU: every benchmark at its size, results in a folder.

    python -m benchmarks.gpu_all --out=benchmarks/results/gpu [--only=step_128,compile]

Each benchmark is a process of its own and is stopped, with all that it has started,
after --seconds; the others go on, and the same command again leaves out those whose
files are there. --tiny runs them all at a size that a CPU does in minutes, to try the
commands.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from absl import app, flags

_OUT = flags.DEFINE_string("out", None, "Folder for the JSON files.", required=True)
_ONLY = flags.DEFINE_list("only", [], "Names of benchmarks; default: all.")
_TINY = flags.DEFINE_bool("tiny", False, "Only try whether they run.")
_TORCH_PYTHON = flags.DEFINE_string(
    "torch_python", sys.executable, "The Python that PyTorch is installed for."
)
_SECONDS = flags.DEFINE_float("seconds", 580.0, "For each benchmark, at most.")

_V16S = "--width=1 --group_network=V16 --group_width=1 --group_side=32 --group=5"
_TINY_STEP = (
    "--width=0.03 --group_width=0.03 --side=8 --group_side=8 --batch=8 --steps=1 "
    "--repeats=1 --group=2 --torch_compile=none"
)
_TINY_NETWORK = "--width=0.03 --side=8 --batch=8"
_TINY_TURNS = f"{_TINY_NETWORK} --steps=1 --repeats=1"
_TINY_RUN = (
    "--config.methods=('mothernets',) --config.replicas=1 --config.train.epochs=1 "
    "--config.hatch.epochs=1 --config.data.train_examples=256"
)

# By name: the script, its flags on a GPU, and what --tiny adds.
BENCHMARKS = {
    "step_128": (
        "step_time",
        f"{_V16S} --batch=128 --steps=50 --repeats=5 --torch_compile=default",
        _TINY_STEP,
    ),
    "step_512": (
        "step_time",
        f"{_V16S} --batch=512 --steps=20 --repeats=5 --torch_compile=default",
        _TINY_STEP,
    ),
    # PyTorch's longest search for the fastest programs, for one member.
    "step_128_autotuned": (
        "step_time",
        "--width=1 --batch=128 --steps=50 --repeats=5 --group=2",
        _TINY_STEP,
    ),
    "compiler_options": ("compiler_options", "", _TINY_TURNS),
    "convolution": (
        "convolution_time",
        "--calls=200",
        "--shapes=4x3x4 --batch=2 --calls=2 --repeats=1",
    ),
    "strategy": (
        "strategy_time",
        "--sizes=1,2,4,8 --steps=50",
        f"--sizes=1,2 {_TINY_TURNS}",
    ),
    "compile": ("compile_time", "", _TINY_NETWORK),
    "hatching": ("hatching_time", "--steps=50", _TINY_TURNS),
    "cost_curve": ("cost_curve", "--steps=50", f"--members=2 {_TINY_TURNS}"),
    "run_split": (
        "run_split",
        "--config=configs/vgg_ensemble.py:digits --cold",
        _TINY_RUN,
    ),
}


def result_of(name: str) -> Path:
    """Where a benchmark's figures go."""
    return Path(_OUT.value, f"{name}.json")


def arguments(name: str) -> list[str]:
    """The command that runs a benchmark."""
    script, on_gpu, tiny = BENCHMARKS[name]
    args = [*on_gpu.split(), *(tiny.split() if _TINY.value else [])]
    out = result_of(name)
    if script in ("step_time", "convolution_time"):
        args.append(f"--torch_python={_TORCH_PYTHON.value}")
    return [sys.executable, "-m", f"benchmarks.{script}", f"--out={out}", *args]


def run(name: str) -> bool:
    """Runs a benchmark; whether it ended well."""
    # A session of its own, so that its children, which hold the GPU, end with it.
    process = subprocess.Popen(arguments(name), start_new_session=True)
    try:
        return process.wait(timeout=_SECONDS.value) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main(argv: list[str]) -> None:
    del argv
    failed = []
    unknown = set(_ONLY.value) - set(BENCHMARKS)
    if unknown:
        known = ", ".join(BENCHMARKS)
        sys.exit(f"--only={','.join(unknown)}: expected some of {known}")
    for name in _ONLY.value or BENCHMARKS:
        if result_of(name).exists():
            print(f"== {name}: done already", flush=True)
            continue
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        if not run(name):
            failed.append(name)
            print(f"{name} failed, or took too long", flush=True)
        print(f"== {name}: {time.perf_counter() - started:.0f} s", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    app.run(main)
