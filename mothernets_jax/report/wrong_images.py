"""The images that an ensemble is most surely wrong about, and its answers."""

from collections.abc import Mapping
from typing import Any

from mothernets_jax.report.certainty import main_method
from mothernets_jax.report.page import Html, escaped
from mothernets_jax.utils.formatting import percent


def wrong_images(results: Mapping[str, Any]) -> Html:
    """Pictures of the main method's worst images, each with its class and the answer.

    Args:
        results: the content of `results.json`, checked.

    Returns:
        HTML; empty where there are none.
    """
    names = results["data"]["class_names"]
    found = results["methods"][main_method(results)].get("worst_images", ())
    if not found:
        return Html("")
    return Html(
        f'<ul class="images">\n{"".join(_item(own, names) for own in found)}</ul>'
    )


def _item(own: Mapping[str, Any], names: list[str]) -> str:
    true, answer = escaped(names[own["label"]]), escaped(names[own["predicted"]])
    return (
        f'<li><img src="data:image/png;base64,{own["png"]}" alt="test image '
        f'{own["image"]:,}"><span>{true}, taken for <b>{answer}</b> '
        f"({percent(own['probability'], 2)}), image {own['image']:,}</span></li>\n"
    )
