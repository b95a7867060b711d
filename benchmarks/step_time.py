"""One member's training step against PyTorch's, and groups against single members.

    python benchmarks/step_time.py --out=benchmarks/results/FILE.json

All contestants take turns in one run, several times; the figures are medians and their
ratios. On the CPU PyTorch (float32, channels_last) must be installed; on a GPU it runs
in bfloat16, compiled. Without PyTorch its rows are left out, and it is said so.
"""

import importlib
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from mothernets_jax import checkpoints, run_log
from mothernets_jax.architectures import Architecture
from mothernets_jax.augment import Sides
from mothernets_jax.costs import train_flops
from mothernets_jax.devices import compute_dtype, device_name
from mothernets_jax.groups import (
    GroupState,
    StepsInputs,
    make_orders,
    make_steps,
    new_group,
)
from mothernets_jax.models import init
from mothernets_jax.presets import v5
from mothernets_jax.training import Augmentation, TrainingData, new_state

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_WIDTH = flags.DEFINE_float("width", 0.25, "Of V16, the member that is timed.")
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images, pixels.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 8, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Turns of each contestant.")
_GROUP = flags.DEFINE_integer("group", 4, "Members of the group that is timed.")
_GROUP_WIDTH = flags.DEFINE_float("group_width", 0.125, "Of the group's V13.")
_GROUP_SIDE = flags.DEFINE_integer("group_side", 8, "Of the group's images, pixels.")

CLASSES = 10
# A contestant does its measurement's steps and returns when they are done.
Contestant = Callable[[], None]


def make_data(side: int, examples: int) -> TrainingData:
    """Random images, padded for crops, and labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, side + 8, side + 8, 3), np.uint8)
    labels = rng.integers(0, CLASSES, examples).astype(np.int32)
    statistics = jnp.full(3, 120.0), jnp.full(3, 60.0)
    return TrainingData(jnp.asarray(images), jnp.asarray(labels), *statistics)


def jax_steps(
    network: Architecture,
    *,
    side: int,
    batch: int,
    steps: int,
    members: int,
    strategy: str,
    call_steps: int | None = None,
) -> Contestant:
    """Our engine: `steps` steps of each member, `call_steps` a call (None: all)."""
    data = make_data(side, batch * steps)
    keys = jax.random.split(jax.random.key(0), members)
    size = 1 if strategy == "loop" else members
    groups, inputs = [], []
    for own in keys.reshape(-1, size):
        states = [new_state(init(network, k, (side, side, 3), CLASSES)) for k in own]
        indices, step_keys = make_orders(batch * steps, batch)(own)
        groups.append(new_group(states))
        inputs.append(
            StepsInputs(
                indices,
                step_keys,
                jnp.full((size, steps), 0.01),
                jnp.full(size, 5e-4),
                jnp.zeros(size),
                Sides(own, jnp.zeros(size, jnp.int32)),
                jnp.ones(size, bool),
            )
        )
    function = make_steps(
        network, Augmentation(4, flip="random"), strategy, compute_dtype("auto")
    )
    first = np.int32(0)
    program = function.lower(groups[0], data, inputs[0], first, first).compile()
    call_steps = call_steps or steps

    def run() -> None:
        for i, group in enumerate(groups):
            state: GroupState = group
            for start in range(0, steps, call_steps):
                bounds = np.int32(start), np.int32(start + call_steps)
                state = program(state, data, inputs[i], *bounds)
            groups[i] = state
        jax.block_until_ready(groups)

    return run


def torch_steps(
    network: Architecture, *, side: int, batch: int, steps: int
) -> Contestant:
    """The same network and step in PyTorch: crops and flips, Nesterov momentum."""
    torch: Any = importlib.import_module("torch")  # not among our requirements
    nn = torch.nn
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers, channels = [], 3
    for block in network.blocks:
        for unit in block:
            padding = unit.filter_size // 2
            layers += [
                nn.Conv2d(
                    channels, unit.width, unit.filter_size, padding=padding, bias=False
                ),
                nn.BatchNorm2d(unit.width),
                nn.ReLU(inplace=True),
            ]
            channels = unit.width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
    model = nn.Sequential(*layers).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    data = make_data(side, batch * steps)
    images = torch.from_numpy(np.array(data.images)).permute(0, 3, 1, 2).to(device)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device)
    loss_of = nn.CrossEntropyLoss()
    forward = torch.compile(model, mode="max-autotune") if device == "cuda" else model

    def run() -> None:
        order = torch.randperm(batch * steps, device=device).reshape(steps, batch)
        for indices in order:
            row, column = torch.randint(0, 9, (2,)).tolist()  # one crop for the batch
            crop = images[indices][:, :, row : row + side, column : column + side]
            flipped = torch.rand(batch, 1, 1, 1, device=device) < 0.5
            inputs = torch.where(flipped, crop.flip(3), crop).float()
            inputs = ((inputs - 120) / 60).contiguous(memory_format=torch.channels_last)
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = loss_of(forward(inputs), labels[indices])
            loss.backward()
            optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def take_turns(contestants: dict[str, Contestant], repeats: int) -> dict[str, list]:
    """Seconds of every turn by contestant; the first, unmeasured turn warms up."""
    seconds = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def main(argv: list[str]) -> None:
    del argv
    side, batch, steps = _SIDE.value, _BATCH.value, _STEPS.value
    network = v5(_WIDTH.value)["V16"]
    one = {"side": side, "batch": batch, "steps": steps}
    contestants = {
        "one member, one call": jax_steps(network, **one, members=1, strategy="loop"),
        "one member, step by step": jax_steps(
            network, **one, members=1, strategy="loop", call_steps=1
        ),
    }
    try:
        contestants["PyTorch, one member"] = torch_steps(network, **one)
    except ImportError:
        print("PyTorch is not installed: its row is left out")
    small = v5(_GROUP_WIDTH.value)["V13"]
    group = {"side": _GROUP_SIDE.value, "batch": batch, "steps": steps}
    for strategy in ("loop", "unroll", "vmap"):
        contestants[f"{_GROUP.value} small members, {strategy}"] = jax_steps(
            small, **group, members=_GROUP.value, strategy=strategy
        )
    seconds = take_turns(contestants, _REPEATS.value)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    baseline = medians["one member, one call"]
    loop = medians[f"{_GROUP.value} small members, loop"]
    ratios = {
        "one call / step by step": baseline / medians["one member, step by step"],
        **{
            f"small group, {s} / loop": medians[f"{_GROUP.value} small members, {s}"]
            / loop
            for s in ("unroll", "vmap")
        },
    }
    if "PyTorch, one member" in medians:
        ratios["one member / PyTorch"] = baseline / medians["PyTorch, one member"]
    flops = train_flops(network, (side, side, 3), CLASSES) * batch * steps
    results = {
        "provenance": run_log.provenance(
            shlex.join(["python", *sys.argv]), device_name()
        ),
        "settings": {
            **one,
            "width": _WIDTH.value,
            "group": _GROUP.value,
            "group_width": _GROUP_WIDTH.value,
            "group_side": _GROUP_SIDE.value,
        },
        "seconds": seconds,
        "ratios": ratios,
        "one_member_tflops_per_second": flops / baseline / 1e12,
    }
    out = Path(_OUT.value)
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_json(out, results)
    print(json.dumps(ratios, indent=1))


if __name__ == "__main__":
    app.run(main)
