"""25 variants of VGG-16, each with one layer changed (V25).

Digits, one core, jax 0.12: 3 minutes, 0.83% of the test digits wrong with MotherNets
and 0.28% with full data at 1.9 times the FLOPs (one fold, one seed, 360 images).

python launch.py --config=configs/vgg25_ensemble.py
python launch.py --config=configs/vgg25_ensemble.py:cifar10
python launch.py --config=configs/vgg25_ensemble.py --config.num_clusters=3 --plan
"""

from ml_collections import ConfigDict

from mothernets_jax.experiments import vgg_ensemble
from mothernets_jax.presets import v25

WIDTHS = vgg_ensemble.WIDTHS | {"digits": 0.125, "folder_thin": 0.25}
# All 25 take too long to compile for a first look.
DIGITS = slice(None, None, 4)


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with V25 as its members.

    Args:
        preset: as for `vgg_ensemble`; `digits` with every fourth network, at an eighth
            of the widths.
    """
    config = vgg_ensemble.get_config(preset)
    members = v25(width=WIDTHS[preset])
    if preset == "digits":
        members = dict(list(members.items())[DIGITS])
    return vgg_ensemble.with_members(config, members)
