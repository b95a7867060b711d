"""The paper's ensembles as data."""

from mothernets_jax.architectures import Architecture, scale_width, vgg

_V5_BLOCKS = {
    "V13": "(3:64)x2 | (3:128)x2 | (3:256)x2 | (3:512)x2 | (3:512)x2",
    "V16": (
        "(3:64)x2 | (3:128)x2 | (3:256)x2 (1:256) | (3:512)x2 (1:512) "
        "| (3:512)x2 (1:512)"
    ),
    "V16A": (
        "(3:128)x2 | (3:128)x2 | (3:128)x2 (1:256) | (3:512)x2 (1:512) "
        "| (3:256)x2 (1:512)"
    ),
    "V16B": "(3:64)x2 | (3:128)x2 | (3:256)x3 | (3:512)x3 | (3:512)x3",
    "V19": "(3:64)x2 | (3:128)x2 | (3:256)x4 | (3:512)x4 | (3:512)x4",
}


def v5(width: float = 1.0) -> dict[str, Architecture]:
    """Five VGG variants of 13 to 19 layers.

    Args:
        width: factor on every layer's number of filters (1.0 is the paper's).

    References:
        MotherNets (MLSys 2020), the authors' table of the VGG ensemble. The global
        mean and the linear head after the blocks are this project's choice.
    """
    return {name: scale_width(vgg(b), width) for name, b in _V5_BLOCKS.items()}
