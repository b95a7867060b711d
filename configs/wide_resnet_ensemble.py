"""Wide ResNets of 16 to 28 layers, with pre-activation (W5).

One core of an AMD EPYC, jax 0.12: two and a half minutes, 0.28% of the test digits
wrong with MotherNets and none with full data at twice the training FLOPs (one fold, one
seed, 360 images).

python launch.py --config=configs/wide_resnet_ensemble.py
python launch.py --config=configs/wide_resnet_ensemble.py:cifar10
python launch.py --config=configs/wide_resnet_ensemble.py --config.num_clusters=3 --plan
"""

from ml_collections import ConfigDict

from mothernets_jax.experiments import vgg_ensemble
from mothernets_jax.presets import w5

WIDTHS = vgg_ensemble.WIDTHS | {"digits": 0.125, "folder_thin": 0.25}


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with W5 as its members.

    Args:
        preset: as for `vgg_ensemble`.
    """
    config = vgg_ensemble.get_config(preset)
    members = w5(width=WIDTHS[preset])
    return vgg_ensemble.with_members(config, members)
