"""How the networks were trained: a table of recipes, and a sentence on variation."""

from collections.abc import Mapping, Sequence
from typing import Any

from mothernets_jax.report.plots.style import method_label
from mothernets_jax.utils.formatting import percent

_MOST_NAMES = 3


def recipe_rows(plan: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row for each recipe of each method, with the networks that it trained.

    Args:
        plan: the entry `plan` of `results.json`.

    Returns:
        Rows, the text of each cell by its column's name; no rows for results of earlier
        versions. Smoothing and averages have columns where there are any.
    """
    recipes = [
        (method, recipe)
        for method, own in plan.get("recipes", {}).items()
        for recipe in own
    ]
    smoothed = any(recipe["label_smoothing"] for _, recipe in recipes)
    averaged = any(recipe["average"] != "none" for _, recipe in recipes)
    rows = []
    for method, recipe in recipes:
        at_most = "" if recipe["stop"] == "epochs" else "at most "
        row = {
            "networks": f"{method_label(method)}: {_in_short(recipe['networks'])}",
            "epochs": f"{at_most}{recipe['epochs']:,}",
            "largest rate": f"{recipe['learning_rate']:g}",
            "schedule": recipe["schedule"].replace("_", " "),
            "batch size": f"{recipe['batch_size']:,}",
            "weight decay": f"{recipe['weight_decay']:g}",
            "optimiser": recipe["optimizer"],
        }
        if smoothed:
            row["label smoothing"] = f"{recipe['label_smoothing']:g}"
        if averaged:
            row["weights averaged"] = recipe["average"].replace("none", "no")
        rows.append(row)
    return rows


def variation(results: Mapping[str, Any]) -> str:
    """Sentences on how images and hatched networks were varied; empty if unknown.

    Args:
        results: the content of `results.json`.
    """
    own = results.get("plan", {}).get("variation")
    if own is None:
        return ""
    height, width, _ = results["data"]["input_shape"]
    ways = []
    if height * width > 1:
        if own["crop"] == "resized":
            ways.append("cut out at random and resized")
        elif own["crop_padding"]:
            ways.append(f"shifted by up to {own['crop_padding']} pixels")
        if own["flip"] != "none":
            ways.append("flipped left to right" + _flip(own["flip"]))
    if own["augment"]:
        ways.append(f"varied by {own['augment']}")
    told = "Training images were not varied."
    if ways:
        told = f"Training images were {_listed(ways)}."
    if not any(method["hatching"] for method in results["methods"].values()):
        return told
    if not own["noise"]:
        return f"{told} Hatched networks began without noise."
    return (
        f"{told} Hatched networks began with noise of {percent(own['noise'])} of each "
        "parameter tensor’s standard deviation."
    )


def _flip(kind: str) -> str:
    return " at random" if kind == "random" else " every other epoch"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _in_short(names: Sequence[str]) -> str:
    """Names in a few words: all of them, or the first and how many there are more."""
    if len(names) <= _MOST_NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
