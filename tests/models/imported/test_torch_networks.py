"""Networks of other libraries without these libraries: state dicts made by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mothernets_jax as mn
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.models.imported.networks import LAYOUTS

WIDTHS = (64, 128, 256, 512)
# Of ImageNet, in pixels from 0 to 255, written out.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def filled(shapes):
    """Entries of these shapes, all of them different and none of them huge."""
    rng = np.random.default_rng(0)
    return {
        key: rng.uniform(0.1, 0.2, shape).astype(np.float32)
        for key, shape in shapes.items()
    }


def norm(name, width):
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (width,) for leaf in leaves} | {
        f"{name}.num_batches_tracked": ()
    }


def resnet18_shapes(classes=7, channels=3):
    """Shapes of torchvision's ResNet-18, by hand."""
    shapes = {"conv1.weight": (64, channels, 7, 7), **norm("bn1", 64)}
    read = 64
    for stage, width in enumerate(WIDTHS, start=1):
        for unit in (0, 1):
            name = f"layer{stage}.{unit}"
            shapes[f"{name}.conv1.weight"] = (width, read, 3, 3)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes |= norm(f"{name}.bn1", width) | norm(f"{name}.bn2", width)
            if read != width:
                shapes[f"{name}.downsample.0.weight"] = (width, read, 1, 1)
                shapes |= norm(f"{name}.downsample.1", width)
            read = width
    return shapes | {"fc.weight": (classes, 512), "fc.bias": (classes,)}


@pytest.fixture(scope="module")
def resnet18():
    return filled(resnet18_shapes())


def test_every_entry_has_its_place(resnet18):
    network = mn.from_torch(resnet18, "resnet18")
    assert network.architecture == mn.presets.resnet_of_depth(18, stem="imagenet")
    params, stats = network.variables["params"], network.variables["batch_stats"]
    for found, key in [
        (params["stem"]["kernel"], "conv1.weight"),
        (params["stage2_unit1_conv2"]["kernel"], "layer2.0.conv2.weight"),
        (params["stage4_unit1_projection"]["kernel"], "layer4.0.downsample.0.weight"),
    ]:
        np.testing.assert_array_equal(found, resnet18[key].transpose(2, 3, 1, 0))
    for found, key in [
        (params["head"]["kernel"], "fc.weight"),
        (params["head"]["bias"], "fc.bias"),
        (params["stem_norm"]["scale"], "bn1.weight"),
        (params["stage3_unit2_norm1"]["bias"], "layer3.1.bn1.bias"),
        (stats["stage2_unit1_shortcut"]["mean"], "layer2.0.downsample.1.running_mean"),
        (stats["stage1_unit1_norm2"]["var"], "layer1.0.bn2.running_var"),
    ]:
        np.testing.assert_array_equal(found, resnet18[key].T)
    assert {leaf.dtype for leaf in jax.tree.leaves(network.variables)} == {
        jnp.dtype("float32")
    }
    np.testing.assert_allclose(network.mean, MEAN, rtol=1e-6)
    np.testing.assert_allclose(network.std, STD, rtol=1e-6)


# Parameters of torchvision's networks, as its documentation gives them.
PARAMS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
}
# Of VGG-BNs, without the three dense layers, of 123,642,856, and with a layer of 1,000
# classes on 512 features in their place; a convolution's bias is no parameter here.
VGG_PARAMS = {
    "vgg11_bn": (132_868_840, 2_752),
    "vgg13_bn": (133_053_736, 2_944),
    "vgg16_bn": (138_365_992, 4_224),
    "vgg19_bn": (143_678_248, 5_504),
}


def test_networks_have_the_parameters_of_the_published_ones():
    assert LAYOUTS.keys() == PARAMS.keys() | VGG_PARAMS.keys()
    for name, make in LAYOUTS.items():
        layout = make()
        found = num_params(layout.architecture, (224, 224, 3), 1000)
        if name in PARAMS:
            assert found == PARAMS[name], name
        else:
            published, biases = VGG_PARAMS[name]
            assert found == published - 123_642_856 - biases + 513_000, name


def test_a_head_of_other_classes_is_drawn(resnet18):
    for given, reason in [
        (resnet18, "the state_dict's is of 7 classes"),
        ({k: v for k, v in resnet18.items() if k[:3] != "fc."}, "has none"),
    ]:
        network = mn.from_torch(
            given, "resnet18.a1_in1k", num_classes=400, key=jax.random.key(0)
        )
        head = network.variables["params"]["head"]
        assert head["kernel"].shape == (512, 400) and not head["bias"].any()
        assert float(head["kernel"].std()) == pytest.approx(512**-0.5, rel=0.02)
        assert reason in network.remarks[0]
        with pytest.raises(ValueError, match=f"key is None, and the head .*{reason}"):
            mn.from_torch(given, "resnet18", num_classes=400)


def test_biases_of_convolutions_are_folded_into_the_means():
    """A plain computation of the first block: convolution, normalisation, ReLU."""
    shapes, read, number = {}, 3, 0
    for width, depth in zip((64, 128, 256, 512, 512), (1, 1, 2, 2, 2), strict=True):
        for _ in range(depth):
            name = f"features.{number}"
            shapes[f"{name}.weight"] = (width, read, 3, 3)
            shapes[f"{name}.bias"] = (width,)
            shapes |= norm(f"features.{number + 1}", width)
            read, number = width, number + 3
        number += 1
    shapes |= {"classifier.0.weight": (9, 9), "classifier.6.bias": (12,)}
    entries = filled(shapes)
    network = mn.from_torch(entries, "vgg11_bn", key=jax.random.key(0))
    assert "dense layers of vgg11_bn on 7x7 pixels" in network.remarks[0]
    assert network.variables["params"]["head"]["kernel"].shape == (512, 12)
    stats = network.variables["batch_stats"]["block5_conv2_norm"]
    means = entries["features.26.running_mean"] - entries["features.25.bias"]
    np.testing.assert_allclose(stats["mean"], means)
    np.testing.assert_array_equal(stats["var"], entries["features.26.running_var"])


def test_names_of_torchvisions_stored_densenets_are_read():
    layout = LAYOUTS["densenet121"]()
    module = layout.modules["block2_layer3_norm1"]
    assert module == "features.denseblock2.denselayer3.norm1"
    # 120 convolutions and 4 entries of 121 normalisations; one is there, 4 are named.
    with pytest.raises(ValueError, match="lacks .* and 599 more") as today:
        mn.from_torch({f"{module}.weight": np.ones(5)}, "densenet121")
    old = "features.denseblock2.denselayer3.norm.1.weight"
    with pytest.raises(ValueError) as stored:
        mn.from_torch({old: np.ones(5)}, "densenet121")
    assert str(stored.value) == str(today.value)
    assert f"{module}.weight is (5,), expected (192,)" in str(today.value)


class Tensor:
    """What of PyTorch's tensors is used: they have no NumPy array of bfloat16."""

    def __init__(self, array, dtype="torch.bfloat16"):
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def is_floating_point(self):
        return self.array.dtype.kind == "f"

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return Tensor(self.array.astype(np.float32), "torch.float32")

    def numpy(self):
        assert self.dtype != "torch.bfloat16"
        return self.array


def test_tensors_and_all_floats_are_read(resnet18):
    entries = dict(resnet18)
    for key, convert in [
        ("conv1.weight", Tensor),
        ("bn1.weight", lambda array: array.astype(np.float64)),
        ("bn1.bias", lambda array: array.astype(jnp.bfloat16)),
    ]:
        entries[key] = convert(resnet18[key])
    found = mn.from_torch(entries, "resnet18").variables["params"]
    expected = mn.from_torch(resnet18, "resnet18").variables["params"]
    np.testing.assert_array_equal(found["stem"]["kernel"], expected["stem"]["kernel"])
    np.testing.assert_allclose(
        found["stem_norm"]["bias"], expected["stem_norm"]["bias"], rtol=1e-2
    )


def without(key):
    return lambda entries: {k: v for k, v in entries.items() if k != key}


REFUSED = {
    "no dict": (lambda entries: [1], "state_dict is [1]: expected a dict of arrays"),
    "missing": (without("bn1.weight"), "it lacks 'bn1.weight'"),
    "unknown": (
        lambda entries: {**entries, "bn9.weight": np.ones(3), 3: np.ones(2)},
        "resnet18 does not have 'bn9.weight', 3",
    ),
    "half a head": (without("fc.bias"), "it lacks 'fc.bias'"),
    "misshapen": (
        lambda entries: {**entries, "layer1.0.conv1.weight": np.ones((64, 3, 3))},
        "layer1.0.conv1.weight is (64, 3, 3), expected (64, 64, 3, 3)",
    ),
    "no array": (
        lambda entries: {**entries, "bn1.bias": "zeros"},
        "bn1.bias is no array but str, expected (64,)",
    ),
    "in a dict": (
        lambda entries: {"state_dict": entries, "epoch": 3},
        "pass state_dict['state_dict']",
    ),
    "of DataParallel": (
        lambda entries: {f"module.{key}": value for key, value in entries.items()},
        "Its keys begin with 'module.': leave that out",
    ),
    "whole numbers": (
        lambda entries: {**entries, "bn1.bias": np.ones(64, np.int8)},
        "bn1.bias of the state_dict is int8: expected floats",
    ),
    "a quantised tensor": (
        lambda entries: {
            **entries,
            "bn1.bias": Tensor(np.ones(64, np.int8), "torch.int8"),
        },
        "bn1.bias of the state_dict is torch.int8: expected floats",
    ),
    "not finite": (
        lambda entries: {**entries, "bn1.bias": np.full(64, np.nan)},
        "bn1.bias of the state_dict holds numbers that are not finite",
    ),
    "too large": (
        lambda entries: {**entries, "bn1.bias": np.full(64, 1e300)},
        "bn1.bias of the state_dict holds numbers that are not finite, or too large",
    ),
    "no variance": (
        lambda entries: {**entries, "bn1.running_var": np.full(64, -1.0)},
        "bn1.running_var of the state_dict has negative numbers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(resnet18, case):
    change, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        mn.from_torch(change(resnet18), "resnet18")


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        ("resnet50d", {}, "network is 'resnet50d': expected the name of a network of"),
        (18, {}, "network is 18: expected the name"),
        ("resnet18", {"num_classes": 0}, "num_classes is 0"),
        ("resnet18", {"num_classes": 3, "key": 0}, "key is 0: expected one random key"),
        ("resnet18", {"mean": 0.5}, "mean is 0.5 and std is None"),
        ("resnet18", {"mean": 0.5, "std": 0}, "each std above 0"),
        ("resnet18", {"mean": (120.0, 110, 100), "std": 0.2}, "pixels from 0 to 1"),
        ("resnet18", {"mean": (0.5, 0.5), "std": 0.2}, "expected 3 numbers each"),
    ],
)
def test_arguments_refused(resnet18, network, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        mn.from_torch(resnet18, network, **arguments)


def test_images_of_other_channels_need_their_normalisation():
    entries = filled(resnet18_shapes(channels=1))
    with pytest.raises(ValueError, match="images have 1 channels"):
        mn.from_torch(entries, "resnet18")
    network = mn.from_torch(entries, "resnet18", mean=0.5, std=0.25)
    assert (network.mean.tolist(), network.std.tolist()) == ([127.5], [63.75])
