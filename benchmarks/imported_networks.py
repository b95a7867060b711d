r"""Networks of torchvision and timm against the libraries' own outputs, at full size.

    pip install -r requirements-imported.txt
    python -m benchmarks.imported_networks \
        --out=benchmarks/results/imported_networks.json

Parameters and running statistics are random, in eval mode and float32: no weights are
downloaded. Each network is compared as torchvision and as timm build it, and once more
after it was hatched into a network of an eighth more channels everywhere and one more
unit. Of VGGs the features are compared, since their dense layers have no counterpart.
What is in the file already is kept, so that names can be run one by one:
--networks=resnet50,vgg16_bn.
"""

import dataclasses
import json
import time
from pathlib import Path

import jax
import numpy as np
import timm
import torch
import torchvision
from absl import app, flags

import mothernets_jax as mn
from benchmarks.torch_networks import randomise
from benchmarks.turns import write_results
from mothernets_jax.architectures import Architecture, scale_width
from mothernets_jax.models.imported.networks import LAYOUTS
from mothernets_jax.runtime.compilation import use_persistent_cache

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_NETWORKS = flags.DEFINE_list("networks", [], "Names; all where there is none.")
_SIDE = flags.DEFINE_integer("side", 224, "Height and width of the images, pixels.")
_HATCHED_SIDE = flags.DEFINE_integer("hatched_side", 64, "The same, after hatching.")
_HATCH = flags.DEFINE_bool("hatch", True, "Whether to hatch each, and compare again.")

IMAGES = 2  # of a comparison


def torch_models(name: str) -> dict[str, torch.nn.Module]:
    """The network as both libraries build it, with the same random parameters."""
    model = randomise(getattr(torchvision.models, name)(weights=None))
    other = timm.create_model(name, pretrained=False).eval()
    if name.startswith("vgg"):  # the dense layers have other names
        other.features.load_state_dict(model.features.state_dict())
    else:
        other.load_state_dict(model.state_dict())
    return {"torchvision": model, "timm": other}


def expected_output(
    model: torch.nn.Module, images: np.ndarray, network: mn.ImportedNetwork
) -> np.ndarray:
    """Their logits; of a VGG, what our head makes of the means of their features."""
    given = torch.from_numpy(images.transpose(0, 3, 1, 2))
    with torch.no_grad():
        if not network.remarks:
            return model(given).numpy()
        features = model.features(given).mean(dim=(2, 3)).numpy()
    return features @ np.asarray(network.variables["params"]["head"]["kernel"])


def larger(architecture: Architecture) -> Architecture:
    """An eighth more channels everywhere, and one more unit in the third section."""
    wider = scale_width(architecture, 1.125)
    field = "stages" if hasattr(wider, "stages") else "blocks"
    sections = list(getattr(wider, field))
    sections[2] = (*sections[2], sections[2][-1])
    return dataclasses.replace(wider, **{field: tuple(sections)})


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, as a share of the largest expected value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def compare(name: str) -> dict[str, float]:
    """Differences of one network's logits, and the seconds that comparing took."""
    started, rng = time.perf_counter(), np.random.default_rng(0)
    sides = {"logits": _SIDE.value, "hatched": _HATCHED_SIDE.value}
    images = {
        use: rng.normal(size=(IMAGES, side, side, 3)).astype(np.float32)
        for use, side in sides.items()
    }
    apply = jax.jit(mn.apply, static_argnums=0)
    row, key = {}, jax.random.key(0)
    for library, model in torch_models(name).items():
        network = mn.from_torch(model.state_dict(), name, key=key)
        expected = expected_output(model, images["logits"], network)
        found = apply(network.architecture, network.variables, images["logits"])
        row[library] = difference(found, expected)
    if _HATCH.value:
        row["hatched"] = hatched_difference(model, network, images["hatched"])
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def hatched_difference(
    model: torch.nn.Module, network: mn.ImportedNetwork, images: np.ndarray
) -> float:
    """The difference once more, of a larger network that was hatched from it."""
    member, key = larger(network.architecture), jax.random.key(0)
    grown = mn.hatch(network.variables, network.architecture, member, key)
    apply = jax.jit(mn.apply, static_argnums=0)
    found = apply(member, grown, images)
    return difference(found, expected_output(model, images, network))


def main(argv: list[str]) -> None:
    del argv
    use_persistent_cache()
    path = Path(_OUT.value)
    results = {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "image side": _SIDE.value,
        "image side after hatching": _HATCHED_SIDE.value,
        "largest difference of logits, of the largest logit": {},
    }
    if path.exists():
        results |= json.loads(path.read_text(encoding="utf-8"))
        results.pop("provenance", None)  # written anew
    rows = results["largest difference of logits, of the largest logit"]
    for name in _NETWORKS.value or LAYOUTS:
        rows[name] = {**rows.get(name, {}), **compare(name)}
        print(name, rows[name], flush=True)
        write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
