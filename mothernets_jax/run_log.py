"""What a run leaves behind for people and programs: metrics and provenance."""

import importlib.metadata
import json
import logging
import platform
import subprocess
from pathlib import Path
from typing import Any

import absl.logging

_PACKAGES = ("jax", "flax", "optax", "numpy")


def log_our_stages() -> None:
    """Our log lines appear, those of libraries only where there is trouble."""
    absl.logging.set_verbosity(absl.logging.WARNING)
    logging.getLogger("mothernets_jax").setLevel(logging.INFO)
    absl.logging.get_absl_handler().addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a log line says something that is not said anyway.

    What a library logs with its traceback, it raises as well: Orbax's threads would
    print pages before our message.
    """
    ours = record.name.startswith("mothernets_jax")
    return ours or not record.exc_info


def log_as_host(number: int) -> None:
    """The first of several hosts speaks for all; others tell trouble and their number.

    Args:
        number: this host's, from 0.
    """
    if number == 0:
        return

    def name_host(record: logging.LogRecord) -> bool:
        record.msg, record.args = f"host {number}: {record.getMessage()}", ()
        return True

    logging.getLogger("mothernets_jax").setLevel(logging.WARNING)
    absl.logging.get_absl_handler().addFilter(name_host)


def append_metrics(path: Path, **metrics: Any) -> None:
    """Appends one line of JSON to a metrics file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(metrics) + "\n")


def provenance(command: str, device: str) -> dict[str, str]:
    """With what a run was made: command, device, commit and versions.

    Args:
        command: the command line.
        device: the accelerator's or processor's name.
    """
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return {
        "command": command,
        "device": device,
        "commit": _commit(),
        "python": platform.python_version(),
        **versions,
    }


def _commit() -> str:
    """The commit of this code, marked where files differ from it; "unknown" without."""
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
