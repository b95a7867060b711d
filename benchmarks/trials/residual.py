"""Residual networks in which the two alignments find different MotherNets.

Their units are narrow at different places: matched one by one from the first, all are
narrow; aligned, two of each stage are wide.
"""

from ml_collections import ConfigDict

from configs import vgg_ensemble
from mothernets_jax.architectures import parse

MEMBERS = {
    "first": "resnet 8 (3:4) (3:16)x2 | 16 (3:8) (3:32)x2",
    "second": "resnet 8 (3:16) (3:4) (3:16) | 16 (3:32) (3:8) (3:32)",
    "last": "resnet 8 (3:16)x2 (3:4) | 16 (3:32)x2 (3:8)",
    "both": "resnet 12 (3:8) (3:16)x2 (3:8) | 16 (3:16) (3:32)x2 (3:16)",
}


def get_config() -> ConfigDict:
    """These networks on the digits."""
    config = vgg_ensemble.get_config()
    return vgg_ensemble.with_members(
        config, {name: parse(notation) for name, notation in MEMBERS.items()}
    )
