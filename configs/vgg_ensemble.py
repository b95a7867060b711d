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
from ml_collections.config_dict import placeholder

from mothernets_jax.architectures import Architecture
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
    """The experiment's settings.

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
    members = v5(width=WIDTHS[preset])
    return ConfigDict(
        {
            "seed": 0,
            "methods": ("mothernets", "full_data"),
            "architectures": {name: str(member) for name, member in members.items()},
            "replicas": 2 if digits else 1,
            "num_clusters": placeholder(int),  # the fewest that can be connected
            "min_shared": placeholder(float),
            "align": "best",  # makes MotherNets largest; "first" is the paper's
            "strategy": "auto",
            "precision": "auto",  # bfloat16 on accelerators, float32 elsewhere
            "combine": "average",
            "data": {
                "name": preset.removesuffix("_thin"),
                "dir": "",
                "fold": 0,
                "train_examples": placeholder(int),  # all
                "validation_fraction": 0.1,
                "calibration_fraction": 0.0,  # fits temperatures and weights, if any
                "test_fraction": 0.2,  # of a folder without a test set
                "image_size": placeholder(int),  # all images have one size
                "resize": "crop",  # to squares of it; or "pad", "stretch"
                "crop": "shift",  # by crop_padding; "resized": ImageNet's, streamed
                "crop_padding": 1 if digits else 4,
                "crop_border": "black",
                # A mirrored digit is none.
                "flip": "none" if preset in ("digits", "svhn") else "random",
                "memory_share": 0.5,  # of a device's; larger sets are streamed
                "workers": 0,  # processes that read the stream; 0: threads
                "ood_name": "",  # a data set that is to look strange, as `name`
                "ood_dir": "",
            },
            "train": {
                "epochs": 30,
                "batch_size": 128,
                "learning_rate": 0.1,
                "weight_decay": 5e-4,
                "label_smoothing": 0.0,
                "class_weights": "none",  # "balanced": rare classes count as much
                "schedule": "cosine",
                "warmup_epochs": 1.0,
                "stop": "epochs",
                "patience_epochs": 15,
            },
            "mother": {
                "schedule": "",  # of MotherNets; empty: train.schedule
                "cycles": 1,  # of the MotherNets' cosine schedule
                # Of a budget, for the MotherNets; by default less of larger ones.
                "budget_share": placeholder(float),
            },
            "hatch": {
                "epochs": 12,
                "learning_rate": 0.1,
                "schedule": "cosine",
                "warmup_epochs": 0.5,
                "noise": 0.6 if digits else 0.0,
                "split": "random",
                "momentum": False,  # of the MotherNet's optimiser, hatched too
                "bags": False,  # each member its own, drawn with replacement
            },
            # Training FLOPs of every method, as epochs of the reference; by default the
            # one network of Snapshot Ensembles. Without: the epochs of each method.
            "budget": {"epochs": placeholder(float), "reference": ""},
            "distillation": {
                "temperature": 4.0,
                "share": 0.5,  # of the loss, for the teacher
                "budget_share": 0.3,  # of a budget, for the teacher
            },
            "treenets": {"shared_blocks": 1},
            "snapshot": {"cycle_epochs": 10, "learning_rate": 0.2},
            "checkpoint": {"interval_seconds": 60.0},  # of unfinished work, at least
            # Dollars for an hour of one device, by a part of its name; yours differ.
            "prices": {"cpu": 0.1, "A100": 2.0, "H100": 3.0, "H200": 3.5, "TPU": 1.5},
            # By default cycles of 4 epochs, of 2 where a budget is too small for those.
            "fge": {
                "cycle_epochs": placeholder(int),
                "largest_rate": 0.05,
                "smallest_rate": 1e-4,
            },
        }
    )
