"""Multilayer perceptrons of 2 to 4 hidden layers (M5).

One core of an AMD EPYC, jax 0.12: 41 s, 1.39% of the test digits wrong with MotherNets
and 0.56% with full data at twice the training FLOPs (one fold, one seed, 360 images).

python launch.py --config=configs/mlp_ensemble.py
python launch.py --config=configs/mlp_ensemble.py:cifar10
python launch.py --config=configs/mlp_ensemble.py --config.num_clusters=3 --plan
"""

from ml_collections import ConfigDict

from mothernets_jax.experiments import vgg_ensemble
from mothernets_jax.presets import m5

WIDTHS = vgg_ensemble.WIDTHS | {"digits": 0.25, "folder_thin": 0.5}


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with M5 as its members.

    Args:
        preset: as for `vgg_ensemble`.
    """
    config = vgg_ensemble.get_config(preset)
    members = m5(width=WIDTHS[preset])
    return vgg_ensemble.with_members(config, members)
