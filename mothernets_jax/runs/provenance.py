"""Command, device, commit and versions that a run was made with, and when."""

import datetime
import importlib.metadata
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import jax

# Variables of the environment by which the same key draws other numbers.
_RANDOM = (
    "JAX_DEFAULT_PRNG_IMPL",
    "JAX_THREEFRY_PARTITIONABLE",
    "JAX_RANDOM_SEED_OFFSET",
    "JAX_ENABLE_X64",
)
_PACKAGES = ("jax", "flax", "optax", "numpy", "pillow")


def provenance(command: str, device: str) -> dict[str, str]:
    """Command, device, commit and versions that a run is made with, by name.

    Args:
        command: the command line.
        device: the accelerator's or processor's name.
    """
    return {
        "command": command,
        "device": device,
        **versions(),
        "python": platform.python_version(),
    }


def clocks(started: float) -> dict[str, Any]:
    """When a run was finished, and the seconds of the command that finished it.

    Args:
        started: `time.perf_counter()` of when the command began.
    """
    now = datetime.datetime.now(datetime.UTC)
    return {
        "finished": now.isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - started,
    }


def versions() -> dict[str, str]:
    """Commit of this code and versions of the packages it computes with, by name."""
    packages = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return {"commit": _commit(), **packages}


def random_numbers() -> dict[str, str]:
    """Values, as text, of the variables that random numbers depend on, by name."""
    found = {name: getattr(jax.config, name.lower(), None) for name in _RANDOM}
    return {name: str(value) for name, value in found.items() if value is not None}


def _commit() -> str:
    """Commit of this code, marked if files differ from it, or "unknown" without Git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        run = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return run.stdout.strip()
