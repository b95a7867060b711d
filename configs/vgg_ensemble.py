"""The paper's V5: five VGG variants, hatched from MotherNets (MotherNets, MLSys 2020).

One core, no GPU, jax 0.12: under 2 minutes, 0.56% of the test digits wrong with
MotherNets and 0.00% with full data at 2.2 times the training FLOPs (one fold, one seed,
360 images; five folds are in docs/measurements.md).

python launch.py --config=configs/vgg_ensemble.py
python launch.py --config=configs/vgg_ensemble.py:cifar10
python launch.py --config=configs/vgg_ensemble.py:folder --config.data.dir=IMAGES
python launch.py --config=configs/vgg_ensemble.py --config.hatch.epochs=8
"""

from ml_collections import ConfigDict

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.defaults import default_config
from mothernets_jax.presets import v5

WIDTHS = {
    "digits": 0.125,
    "folder": 1.0,
    "folder_thin": 0.25,
    "cifar10": 1.0,
    "cifar100": 1.0,
    "svhn": 1.0,
}


def with_members(config: ConfigDict, members: dict[str, Architecture]) -> ConfigDict:
    """The same experiment on other networks, one of each."""
    config.architectures = ConfigDict({name: str(a) for name, a in members.items()})
    config.replicas = 1
    return config


def get_config(preset: str = "digits") -> ConfigDict:
    """The experiment's settings: what differs from the defaults of `config.settings`.

    Args:
        preset: `digits`, scikit-learn's 8x8 digits with V5 at an eighth of the widths
            and two members of each architecture; `folder`, V5 on a folder of images;
            `folder_thin`, the same at a quarter of the widths; `cifar10`, `cifar100`,
            `svhn`, V5 on these data sets, read with TFDS.
    """
    if preset not in WIDTHS:
        raise ValueError(
            f"there is no preset {preset!r}: expected one of {', '.join(WIDTHS)}"
        )
    digits = preset == "digits"
    config = with_members(default_config(), v5(width=WIDTHS[preset]))
    config.update(
        {
            "methods": ("mothernets", "full_data"),
            "replicas": 2 if digits else 1,
            "data": {
                "name": preset.removesuffix("_thin"),
                "crop_padding": 1 if digits else 4,
                # A mirrored digit is none.
                "flip": "none" if preset in ("digits", "svhn") else "random",
            },
            "hatch": {"noise": 0.6 if digits else 0.0},
        }
    )
    return config
