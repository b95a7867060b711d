"""How a run's ensemble is used: lines of Python and commands, for its page."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mothernets_jax.report.certainty import main_method


def python_lines(results: Mapping[str, Any], workdir: Path) -> str:
    """Lines of Python that load the run's main ensemble and predict with it.

    Args:
        results: the content of `results.json`.
        workdir: the run's folder.
    """
    method, data = main_method(results), results["data"]
    shape = ", ".join(map(str, ["batch", *data["input_shape"]]))
    chosen = "" if len(results["methods"]) == 1 else f", {method!r}"
    return (
        "import mothernets_jax as mn\n"
        f"ensemble = mn.Ensemble.load({_written(workdir)!r}{chosen})\n"
        f"probabilities = ensemble.predict(images)  # [{shape}], raw as in training"
    )


def commands(results: Mapping[str, Any], workdir: Path) -> str:
    """Commands that predict files, export the ensemble, and make the page again.

    Args:
        results: the content of `results.json`.
        workdir: the run's folder.
    """
    run, method = shlex.quote(_written(workdir)), shlex.quote(main_method(results))
    chosen = "" if len(results["methods"]) == 1 else f" --method={method}"
    height, width, _ = results["data"]["input_shape"]
    lines = [
        f"mothernets export {run} ensemble.onnx{chosen}",
        f"mothernets report {run}",
    ]
    if height * width > 1:
        lines.insert(0, f"mothernets predict {run} photos/{chosen}")
    return "\n".join(lines)


def _written(workdir: Path) -> str:
    """A folder's name as a page can hold it, and no command takes for an option."""
    text = str(workdir).encode("utf-8", "replace").decode("utf-8")
    return f"./{text}" if text.startswith("-") else text
