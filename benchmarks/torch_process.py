"""PyTorch beside JAX: its contestants live in another process, or another Python.

They take turns with JAX's in one run. Their seconds are measured over there, and while
one side has its turn the other sleeps, so that their threads do not compete.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks.turns import Contestant
from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import pooled_sides

_TORCH_PYTHON = flags.DEFINE_string(
    "torch_python", sys.executable, "The Python that PyTorch is installed for."
)
_TORCH_COMPILE = flags.DEFINE_string(
    "torch_compile", None, "Mode of torch.compile; default: by device; none: eager only"
)


class TorchProcess:
    """A Python with PyTorch.

    Attributes:
        description: versions, device and threads; None where there is no PyTorch.
        compile_mode: of torch.compile; None where it is not wanted.
        left_out: why contestants are missing, by name.
    """

    def __init__(self):
        """Starts it; without PyTorch every contestant will be left out."""
        script = Path(__file__).with_name("torch_contestants.py")
        self._process = subprocess.Popen(
            [_TORCH_PYTHON.value, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.left_out: dict[str, str] = {}
        answer = self._answer()
        self.description = None if "error" in answer else answer
        on_gpu = answer.get("device") != "cpu"
        by_device = "max-autotune" if on_gpu else "default"
        wanted = _TORCH_COMPILE.value or by_device
        self.compile_mode = None if wanted == "none" else wanted

    def make(self, name: str, kind: str, **arguments: Any) -> dict[str, Contestant]:
        """A contestant by its name; none, and it is said why, where that fails.

        Args:
            name: of the contestant.
            kind: one of `torch_contestants.KINDS`.
            arguments: of that function, as JSON can hold them.
        """
        answer = self._ask({"make": name, "kind": kind, "arguments": arguments})
        if "error" in answer:
            self.left_out[name] = answer["error"]
            print(f"{name} is left out: {answer['error']}", flush=True)
            return {}

        def turn() -> float:
            answer = self._ask({"turn": name})
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']}")
            return answer["seconds"]

        return {name: turn}

    def close(self) -> None:
        """Ends it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return {"error": "there is no PyTorch, or its process has died"}
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        return json.loads(line) if line else {"error": "PyTorch's process has died"}


def torch_blocks(network: Architecture, side: int) -> list[dict[str, Any]]:
    """A network's blocks as `torch_contestants.make_network` takes them."""
    blocks, sides = [], (side, side)
    for block in network.blocks:
        after = pooled_sides(*sides)
        units = [[unit.filter_size, unit.width] for unit in block]
        blocks.append({"units": units, "pool": after != sides})
        sides = after
    return blocks
