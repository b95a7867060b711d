"""One member's training step against PyTorch's, and a group's against single members.

    python -m benchmarks.step_time --out=benchmarks/results/FILE.json

All contestants take turns in one run, several times; the figures are medians and ratios
of seconds: below 1, the first is the faster. PyTorch runs channels_last, eager and
compiled, one member by one and stacked (`torch.func`), in bfloat16 on a GPU. Where it
is installed for another Python: --torch_python=PATH. On a GPU:

    --width=1 --group_network=V16 --group_width=1 --group_side=32 --group=5 --batch=128
"""

import json

import jax
from absl import app, flags

from benchmarks.jax_contestants import CLASSES, Work, training_steps
from benchmarks.torch_process import TorchProcess, torch_blocks
from benchmarks.turns import Contestant, medians, take_turns, write_results
from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.presets import v5
from mothernets_jax.runtime.compilation import use_persistent_cache
from mothernets_jax.runtime.devices import compute_dtype, peak_flops
from mothernets_jax.training.group_step import STRATEGIES

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_WIDTH = flags.DEFINE_float("width", 0.25, "Of V16, the member that is timed.")
_SIDE = flags.DEFINE_integer("side", 32, "Height and width of the images, pixels.")
_BATCH = flags.DEFINE_integer("batch", 128, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 8, "Steps of one measurement.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Turns of each contestant.")
_GROUP = flags.DEFINE_integer("group", 4, "Members of the group that is timed.")
_GROUP_NETWORK = flags.DEFINE_string("group_network", "V13", "Of V5, the group's.")
_GROUP_WIDTH = flags.DEFINE_float("group_width", 0.125, "Of the group's network.")
_GROUP_SIDE = flags.DEFINE_integer("group_side", 8, "Of the group's images, pixels.")

ONE_CALL, BY_STEP = "one member, one call", "one member, step by step"


def torch_rows(
    process: TorchProcess, label: str, network: Architecture, work: Work, members: int
) -> dict[str, Contestant]:
    """PyTorch's contestants: one by one, and where there are several, stacked."""
    arguments = {
        "blocks": torch_blocks(network, work.side),
        "classes": CLASSES,
        "members": members,
        **work._asdict(),
    }
    rows = {}
    for kind in ("one_by_one", "stacked")[: min(members, 2)]:
        for mode in dict.fromkeys((None, process.compile_mode)):
            how = kind.replace("_", " ") if members > 1 else ""
            words = ("PyTorch", label, how, "compiled" if mode else "eager")
            name = ", ".join(word for word in words if word)
            rows |= process.make(name, kind, compile_mode=mode, **arguments)
    return rows


def ratios(times: dict[str, float], group: str) -> dict[str, float]:
    """What the medians say, for all contestants that there are."""
    best = min((f"{group}, {s}" for s in STRATEGIES), key=times.__getitem__)
    pairs = [(ONE_CALL, BY_STEP)]
    pairs += [(ONE_CALL, name) for name in times if name.startswith("PyTorch, one")]
    pairs += [(f"{group}, {s}", f"{group}, loop") for s in ("unroll", "vmap")]
    pairs += [(best, name) for name in times if name.startswith(f"PyTorch, {group}")]
    return {f"{ours} / {other}": times[ours] / times[other] for ours, other in pairs}


def main(argv: list[str]) -> None:
    del argv
    use_persistent_cache()
    work = Work(_SIDE.value, _BATCH.value, _STEPS.value)
    network = v5(_WIDTH.value)["V16"]
    in_group = v5(_GROUP_WIDTH.value)[_GROUP_NETWORK.value]
    group_work = work._replace(side=_GROUP_SIDE.value)
    group = f"group of {_GROUP.value}"
    contestants = {
        ONE_CALL: training_steps(network, work),
        BY_STEP: training_steps(network, work, call_steps=1),
    }
    for strategy in STRATEGIES:
        contestants[f"{group}, {strategy}"] = training_steps(
            in_group, group_work, members=_GROUP.value, strategy=strategy
        )
    process = TorchProcess()
    contestants |= torch_rows(process, "one member", network, work, 1)
    contestants |= torch_rows(process, group, in_group, group_work, _GROUP.value)
    seconds = take_turns(contestants, _REPEATS.value)
    process.close()
    times = medians(seconds)
    flops = train_flops(network, (work.side, work.side, 3), CLASSES)
    rate = flops * work.batch * work.steps / times[ONE_CALL]
    peak = peak_flops(jax.devices()[0].device_kind, compute_dtype("auto"))
    results = {
        "torch": process.description,
        "left_out": process.left_out,
        "settings": {
            **work._asdict(),
            "network": f"V16, width {_WIDTH.value}",
            "group": _GROUP.value,
            "group_network": f"{_GROUP_NETWORK.value}, width {_GROUP_WIDTH.value}",
            "group_side": group_work.side,
        },
        "seconds": seconds,
        "ratios": ratios(times, group),
        "one_member_tflops_per_second": rate / 1e12,
        "one_member_share_of_peak": rate / peak if peak else None,
    }
    write_results(_OUT.value, results)
    print(json.dumps(results["ratios"], indent=1))


if __name__ == "__main__":
    app.run(main)
