"""Networks of torchvision and timm against the libraries themselves.

Weights are random, and so are the running statistics. These are the quick ones;
benchmarks/imported_networks.py compares every network on images of full size.
"""

import jax
import numpy as np
import pytest

import mothernets_jax as mn

pytestmark = pytest.mark.extras

CLASSES = 10
# Of a quick one: the program that hatches a DenseNet takes a minute to compile.
LARGER = {
    "resnet18": ("256 (3:256)x2 | 512 (3:512)x2", "256 (3:300)x3 | 540 (3:512)x2")
}


def made(library, name, **arguments):
    from benchmarks.torch_networks import randomise

    if library == "torchvision":
        from torchvision import models

        return randomise(getattr(models, name)(weights=None, **arguments))
    import timm

    return randomise(timm.create_model(name, pretrained=False, **arguments))


def images_of(side):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, side, side, 3)).astype(np.float32)


def output_of(model, images):
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()


def assert_close(found, expected):
    largest = np.abs(expected).max()
    assert largest > 0.01  # else there was nothing to compare
    assert np.abs(found - expected).max() <= 1e-4 * largest


@pytest.mark.parametrize(
    ("library", "name", "side"),
    [
        ("torchvision", "resnet18", 65),
        ("timm", "resnet18", 64),
        ("torchvision", "resnet50", 64),
        ("timm", "densenet121", 67),
    ],
)
def test_logits_are_those_of_the_library_after_hatching_too(library, name, side):
    model, images = made(library, name, num_classes=CLASSES), images_of(side)
    expected = output_of(model, images)
    network = mn.from_torch(model.state_dict(), name)
    assert network.remarks == ()
    assert_close(mn.apply(network.architecture, network.variables, images), expected)
    if library == "torchvision" and name in LARGER:
        member = mn.parse(str(network.architecture).replace(*LARGER[name]))
        assert member != network.architecture
        grown = mn.hatch(
            network.variables, network.architecture, member, jax.random.key(0)
        )
        assert_close(mn.apply(member, grown, images), expected)


def test_features_of_a_vgg_are_those_of_the_library():
    model = made("torchvision", "vgg11_bn", num_classes=CLASSES)
    images = images_of(48)
    expected = output_of(model.features, images).mean(axis=(2, 3))
    network = mn.from_torch(model.state_dict(), "vgg11_bn", key=jax.random.key(0))
    (remark,) = network.remarks
    assert "The head of 10 classes is new" in remark
    head = np.asarray(network.variables["params"]["head"]["kernel"])
    logits = mn.apply(network.architecture, network.variables, images)
    assert_close(logits, expected @ head)
