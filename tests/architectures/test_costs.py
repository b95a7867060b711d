"""Costs: parameters as the models have them, FLOPs as counted by hand."""

import math

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax.architectures import densenet, mlp, parse, vgg, wide_resnet
from mothernets_jax.architectures.costs import num_params, pooled_sides, train_flops
from mothernets_jax.models.variables import abstract_variables
from mothernets_jax.presets import resnet_of_depth, v5

WIDTHS = st.integers(1, 9)
LAYERS = st.lists(
    st.tuples(st.sampled_from([1, 3, 5, 7]), WIDTHS), min_size=1, max_size=3
)
ARCHITECTURES = st.builds(
    mlp, st.lists(WIDTHS, min_size=1, max_size=4), batch_norm=st.booleans()
) | st.builds(
    vgg,
    st.lists(LAYERS, min_size=1, max_size=5),
    dense=st.lists(WIDTHS, max_size=2),
    batch_norm=st.booleans(),
)
# Odd sides, a single pixel and a single row among them.
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))


@settings(max_examples=40)
@given(ARCHITECTURES, SHAPES, st.integers(1, 12))
def test_num_params_are_the_models(architecture, input_shape, num_classes):
    params = abstract_variables(architecture, input_shape, num_classes)["params"]
    entries = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    assert num_params(architecture, input_shape, num_classes) == entries


# Multiply-adds, layer by layer: positions x taps x inputs x outputs. 5x4 images are
# pooled to 2x2, those to 1x1; 1x6 images are not pooled at all.
BY_HAND = [
    # notation, input shape, classes, parameters, multiply-adds
    (
        "vgg (3:2) (1:5) | (3:4); dense 7",
        (5, 4, 3),
        10,
        (54 + 2) + (10 + 5) + (180 + 4) + (28 + 7) + (70 + 10),
        20 * 54 + 20 * 10 + 4 * 180 + 28 + 70,
    ),
    (
        "vgg (3:2) | (3:2); batch_norm",
        (1, 6, 1),
        3,
        (18 + 4) + (36 + 4) + (6 + 3),
        6 * 18 + 6 * 36 + 6,
    ),
    ("mlp 8 6", (3, 4, 2), 5, (192 + 8) + (48 + 6) + (30 + 5), 192 + 48 + 30),
    (
        "mlp 8 6; batch_norm",
        (3, 4, 2),
        5,
        (192 + 16) + (48 + 12) + (30 + 5),
        192 + 48 + 30,
    ),
]


@pytest.mark.parametrize(("notation", "shape", "classes", "params", "madds"), BY_HAND)
def test_costs_by_hand(notation, shape, classes, params, madds):
    assert num_params(parse(notation), shape, classes) == params
    assert train_flops(parse(notation), shape, classes) == 6 * madds


# ImageNet, 1000 classes, 224x224: parameters as torchvision states them for its models
# (resnet18 to resnet152), multiply-adds in billions from the same table (GFLOPS).
@pytest.mark.parametrize(
    ("depth", "params", "gigaflops"),
    [
        (18, 11_689_512, 1.81),
        (34, 21_797_672, 3.66),
        (50, 25_557_032, 4.09),
        (101, 44_549_160, 7.80),
        (152, 60_192_808, 11.51),
    ],
)
def test_resnets_of_imagenet(depth, params, gigaflops):
    network = resnet_of_depth(depth, stem="imagenet")
    assert num_params(network, (224, 224, 3), 1000) == params
    flops = train_flops(network, (224, 224, 3), 1000)
    assert round(flops / 6e9, 2) == gigaflops


# Millions of parameters on CIFAR-10: Zagoruyko and Komodakis 2016, table 4; Huang et
# al. 2017, table 2.
@pytest.mark.parametrize(
    ("network", "millions"),
    [
        (wide_resnet(28, 10), 36.5),
        (densenet([[(3, 12)] * 12] * 3), 1.0),
        (
            densenet(
                [[(3, 12)] * 16] * 3, stem_filters=24, bottleneck=4, compression=0.5
            ),
            0.8,
        ),
    ],
    ids=["WRN-28-10", "DenseNet-40", "DenseNet-BC-100"],
)
def test_networks_of_cifar(network, millions):
    assert round(num_params(network, (32, 32, 3), 10) / 1e6, 1) == millions


SMALL = {
    "basic": "resnet 4 (3:3) (5:2) | 6 (3:4)",
    "imagenet stem": "resnet 4 (3:3) | 6 (3:4); stem imagenet 5",
    "bottleneck": "resnet 8 (3:2) | 9 (3:4); unit bottleneck; stem cifar 3",
    "preact": "resnet 4 (3:3)x2 | 6 (3:4); unit preact",
    "dense": "densenet (3:2)x2 | (1:3); stem 4",
    "dense with bottleneck": "densenet (3:2)x2 | (1:3); stem 4; bottleneck 2",
    "dense with imagenet stem": "densenet (3:2)x2 | (1:3); stem imagenet 4",
    "plain": "vgg (3:2) (1:5) | (3:4); dense 7",
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(8, 8, 3), (7, 5, 1)])
def test_parameters_are_those_that_init_makes(name, shape):
    network = parse(SMALL[name])
    params = abstract_variables(network, shape, 5)["params"]
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(params)]
    assert num_params(network, shape, 5) == sum(sizes)


# The usual VGGs, which differ from V5's only in their dense head's parameters.
@pytest.mark.parametrize(
    ("name", "gigaflops"), [("V13", 1.37), ("V16B", 1.88), ("V19", 2.39)]
)
def test_train_flops_of_the_usual_vggs(name, gigaflops):
    flops = train_flops(v5()[name], (32, 32, 3), 10)
    assert round(flops / 1e9, 2) == gigaflops


@pytest.mark.parametrize(
    ("sides", "pooled"),
    [
        ((8, 8), (4, 4)),
        ((5, 4), (2, 2)),
        ((3, 2), (1, 1)),
        ((1, 1), (1, 1)),
        ((1, 6), (1, 6)),
        ((6, 1), (6, 1)),
    ],
)
def test_pooled_sides(sides, pooled):
    assert pooled_sides(*sides) == pooled
