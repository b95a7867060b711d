"""Residual networks of several depths, with basic and with bottleneck units (R10).

One core of an AMD EPYC, jax 0.12: four and a half minutes for ResNet-18 (A, B), -34
(A) and -50 (A, B), 0.56% of the test digits wrong with MotherNets and 0.83% with full
data at 1.4 times the training FLOPs (one fold, one seed, 360 images).

python launch.py --config=configs/resnet_ensemble.py
python launch.py --config=configs/resnet_ensemble.py:cifar10
python launch.py --config=configs/resnet_ensemble.py --config.num_clusters=3 --plan
"""

from ml_collections import ConfigDict

from mothernets_jax.experiments import vgg_ensemble
from mothernets_jax.presets import r10

WIDTHS = vgg_ensemble.WIDTHS | {"digits": 0.125, "folder_thin": 0.25}
# The deeper ones take long to compile for a first look.
DIGITS = ("R18A", "R18B", "R34A", "R50A", "R50B")


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with R10 as its members.

    Args:
        preset: as for `vgg_ensemble`.
    """
    config = vgg_ensemble.get_config(preset)
    members = r10(width=WIDTHS[preset])
    if preset == "digits":
        members = {name: members[name] for name in DIGITS}
    return vgg_ensemble.with_members(config, members)
