"""25 variants of VGG-16, each with one layer changed (V25).

Not measured yet: what it trains and what that costs, --plan tells.

python launch.py --config=configs/vgg25_ensemble.py
python launch.py --config=configs/vgg25_ensemble.py:cifar10
python launch.py --config=configs/vgg25_ensemble.py --config.num_clusters=3 --plan
"""

from ml_collections import ConfigDict

from configs import vgg_ensemble
from mothernets_jax.presets import v25

WIDTHS = vgg_ensemble.WIDTHS | {"digits": 0.0625, "folder_thin": 0.25}


def get_config(preset: str = "digits") -> ConfigDict:
    """The settings of `vgg_ensemble`, with V25 as its members.

    Args:
        preset: as for `vgg_ensemble`.
    """
    config = vgg_ensemble.get_config(preset)
    members = v25(width=WIDTHS[preset])
    return vgg_ensemble.with_members(config, members)
