"""Methods composed for three small VGGs on a task of noise."""

import numpy as np

from configs.vgg_ensemble import get_config
from mothernets_jax.data import Dataset
from mothernets_jax.methods import METHODS, read_settings
from mothernets_jax.stages.task import make_task

NETWORKS = {
    "A": "vgg (3:4) | (3:4); batch_norm",
    "B": "vgg (3:6)x2 | (3:6); batch_norm",
    "C": "vgg (3:6)x2 | (3:8)x2; batch_norm",
}
STEPS = 10  # of an epoch


def settings_of(**overrides):
    """Settings of these networks, with others by full name."""
    config = get_config("digits")
    with config.unlocked():
        config.architectures = NETWORKS
        config.update_from_flattened_dict(
            {
                "replicas": 1,
                "train.batch_size": 10,
                "train.epochs": 4,
                "snapshot.cycle_epochs": 3,
                "fge.cycle_epochs": 2,
                **overrides,
            }
        )
    return read_settings(config)


def noise_task():
    """105 images of 8x8 pixels in three classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (105, 8, 8, 1), np.uint8)
    labels = (np.arange(105) % 3).astype(np.int32)
    few = images[:9], labels[:9]
    names = ("a", "b", "c")
    mean, std = np.array([127.0], np.float32), np.array([74.0], np.float32)
    dataset = Dataset(images, labels, *few, *few, *few, names, mean, std)
    return make_task(
        dataset, crop_padding=0, crop_border="black", flip="none", seed=3, batch_size=10
    )


def compose(task, method, **overrides):
    """The plan of a method."""
    settings = settings_of(**overrides)
    return METHODS[method](task, settings, settings.members)
