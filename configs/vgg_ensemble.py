"""The paper's V5: five VGG variants, hatched from MotherNets (MotherNets, MLSys 2020).

On 404 of scikit-learn's digits, at one budget for both methods, two CPU cores, two
minutes, most of them for compiling: MotherNets err on 1.9% of 1,347 test images,
networks from scratch on 5.0%, a difference of -3.1 points (95% interval, paired over
the images: -4.3 to -1.9; one seed, rates not tuned for either).

python launch.py --config=configs/vgg_ensemble.py
python launch.py --config=configs/vgg_ensemble.py --config.budget.epochs=300
python launch.py --config=configs/vgg_ensemble.py:cifar10
python launch.py --config=configs/vgg_ensemble.py:folder --config.data.dir=IMAGES
"""

from ml_collections import ConfigDict

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.defaults import default_config
from mothernets_jax.presets import v5

WIDTHS = {
    "few_digits": 0.125,
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


def get_config(preset: str = "few_digits") -> ConfigDict:
    """The experiment's settings: what differs from the defaults of `config.settings`.

    Args:
        preset: `few_digits`, V5 at an eighth of the widths and two members of each
            architecture on 404 of scikit-learn's 8x8 digits, tested on 1,347, both
            methods at one budget; `digits`, the same on 1,293 of them, tested on 360,
            without a budget; `folder`, V5 on a folder of images; `folder_thin`, the
            same at a quarter of the widths; `cifar10`, `cifar100`, `svhn`, V5 on these
            data sets, read with TFDS.
    """
    if preset not in WIDTHS:
        raise ValueError(
            f"there is no preset {preset!r}: expected one of {', '.join(WIDTHS)}"
        )
    digits = preset in ("few_digits", "digits")
    config = with_members(default_config(), v5(width=WIDTHS[preset]))
    config.update(
        {
            "methods": ("mothernets", "full_data"),
            "replicas": 2 if digits else 1,
            "data": {
                "name": "digits" if digits else preset.removesuffix("_thin"),
                "crop_padding": 1 if digits else 4,
                # A mirrored digit is none.
                "flip": "none" if digits or preset == "svhn" else "random",
            },
            "hatch": {"noise": 0.6 if digits else 0.0},
        }
    )
    if preset == "few_digits":
        config.update(
            {
                "data": {"test_fraction": 0.75},
                "train": {"batch_size": 32},
                "budget": {"epochs": 200.0},
                # As in `pareto`: hatched before the rate falls, in each by itself.
                "mother": {"schedule": "constant"},
                "hatch": {"schedule": "linear", "warmup_epochs": 0.0, "noise": 0.0},
            }
        )
    return config
