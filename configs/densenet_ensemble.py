"""DenseNets of 40 and 100 layers and several growths (D5).

Digits, one core beside other work, jax 0.12: 14 minutes, 0.28% of the test digits wrong
with MotherNets and with full data at twice the FLOPs (one fold, one seed, 360 images).

python launch.py --config=configs/densenet_ensemble.py
python launch.py --config=configs/densenet_ensemble.py:cifar10
python launch.py --config=configs/densenet_ensemble.py --config.num_clusters=3 --plan
"""

from ml_collections import ConfigDict

from mothernets_jax.experiments import vgg_ensemble
from mothernets_jax.presets import d5

WIDTHS = vgg_ensemble.WIDTHS | {"digits": 0.25, "folder_thin": 0.5}
# The deeper ones take too long for a first look.
DIGITS = ("D40k12", "D40k24")


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with D5 as its members.

    Args:
        preset: as for `vgg_ensemble`; `digits` with two members each of DenseNet-40,
            k = 12 and 24, at a quarter of the widths.
    """
    config = vgg_ensemble.get_config(preset)
    members = d5(width=WIDTHS[preset])
    if preset == "digits":
        members = {name: members[name] for name in DIGITS}
    config = vgg_ensemble.with_members(config, members)
    config.replicas = 2 if preset == "digits" else 1
    return config
