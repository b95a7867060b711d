"""Training steps for tests, as `stages.task.step_spec` makes them."""

import dataclasses

from mothernets_jax.training.coupling import Independent
from mothernets_jax.training.losses import CrossEntropy
from mothernets_jax.training.optim import SGD
from mothernets_jax.training.step_spec import Augmentation, StepSpec

OPTIMIZER = SGD()


def plain_spec(architecture, augmentation=None, **changes):
    """A step by SGD on the labels' cross-entropy, of images as they are."""
    augmentation = augmentation or Augmentation(0, "none")
    spec = StepSpec(
        architecture, augmentation, OPTIMIZER, CrossEntropy(), Independent()
    )
    return dataclasses.replace(spec, **changes)
