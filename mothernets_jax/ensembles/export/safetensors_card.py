"""The model card of an ensemble: a README.md with front matter that model hubs read.

The front matter is YAML whose values are written as JSON, which YAML includes, so that
no name in it can become anything but a text.
"""

import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from mothernets_jax.utils.messages import safe_name

_MOST_CLASSES = 20  # that the card names


def model_card(name: str, config: Mapping[str, Any]) -> str:
    """Writes the card of an ensemble.

    Args:
        name: name of the ensemble.
        config: the content of its `config.json`, from `hub_folder.config_of`.

    Returns:
        Markdown behind YAML front matter.
    """
    ensemble = config["ensemble"]
    sections = [
        f"# {_text(name)}",
        _summary(config),
        "## Use\n\n" + _use(config),
        "## Members\n\n" + _members(config),
        "## Inputs and outputs\n\n" + _inputs(ensemble),
        "## Figures\n\n" + _figures(config),
        "## Training data\n\n" + _training_data(config["training_data"]),
    ]
    front = "".join(f"{line}\n" for line in _front_matter(name, config))
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(name: str, config: Mapping[str, Any]) -> Iterable[str]:
    if config["license"] is not None:
        yield f"license: {json.dumps(config['license'])}"
    yield f"library_name: {json.dumps(config['library_name'])}"
    yield f"pipeline_tag: {config['task']}"
    yield 'tags: ["jax", "ensemble", "mothernets"]'
    figures = config["figures"]
    if figures is None:
        return
    data = config["training_data"] or {"name": "unknown"}
    entry = {
        "name": name,
        "results": [
            {
                "task": {"type": config["task"]},
                "dataset": {"name": str(data["name"]), "type": str(data["name"])},
                "metrics": [{"type": "accuracy", "value": 1 - figures["error"]}],
            }
        ],
    }
    yield f"model-index: {json.dumps([entry])}"


def _summary(config: Mapping[str, Any]) -> str:
    ensemble = config["ensemble"]
    members, classes = len(ensemble["members"]), len(ensemble["class_names"])
    licence = config["license"]
    stated = f"Licence: {licence}." if licence else "Its licence is not stated."
    return textwrap.fill(
        f"An ensemble of {members} {'network' if members == 1 else 'networks'} for "
        f"{classes:,} classes, of mothernets_jax. {stated}",
        88,
    )


def _use(config: Mapping[str, Any]) -> str:
    arguments = f"combine={config['combine']!r}, calibrated={config['calibrated']}"
    return (
        "```python\nimport mothernets_jax as mn\n\n"
        "ensemble = mn.Ensemble.from_safetensors(folder)\n"
        f"probabilities = ensemble.predict(images, {arguments})\n```"
    )


def _members(config: Mapping[str, Any]) -> str:
    errors = (config["figures"] or {}).get("member_errors", {})
    rows = ["| name | architecture | parameters | error |", "|---|---|---:|---:|"]
    for name, notation in config["ensemble"]["members"].items():
        shown = notation.replace("|", "\\|")  # blocks of the notation are no cells
        error = f"{errors[name]:.2%}" if name in errors else ""
        parameters = config["parameters"][name]
        rows.append(f"| {name} | `{shown}` | {parameters:,} | {error} |")
    return "\n".join(rows)


def _inputs(ensemble: Mapping[str, Any]) -> str:
    height, width, channels = ensemble["input_shape"]
    form = f"[batch, {height}, {width}, {channels}]"
    names = [_text(own) for own in ensemble["class_names"]]
    more = f", and {len(names) - _MOST_CLASSES:,} more"
    some = ", ".join(names[:_MOST_CLASSES])
    return (
        f"Raw {ensemble['input_dtype']} {form}, as in the data set; `predict` "
        "normalises them by mean and standard deviation of the training split, which "
        "are in `config.json`. One probability for each class comes out, in this "
        f"order: {some}{more if len(names) > _MOST_CLASSES else ''}."
    )


def _figures(config: Mapping[str, Any]) -> str:
    figures = config["figures"]
    if figures is None:
        return "None are known."
    rows = ["| measure | value |", "|---|---:|", f"| error | {figures['error']:.2%} |"]
    rows += [f"| {name} | {figures[name]:.4f} |" for name in ("nll", "brier", "ece")]
    how = f"{config['combine']}, " + ("" if config["calibrated"] else "not ")
    return f"On test examples; members combined: {how}calibrated.\n\n" + "\n".join(rows)


def _training_data(data: Mapping[str, Any] | None) -> str:
    if data is None:
        return "Not recorded."
    images = data["splits"]["training"]["images"]
    return (
        f"{_text(data['name'])}, {images:,} training examples. SHA-256 of its "
        f"description in `config.json`: `{data['sha256']}`."
    )


def _text(value: Any) -> str:
    """A text as Markdown shows it, on one line, with none of it taken for markup."""
    shown = safe_name(value)
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|" else sign for sign in shown)
