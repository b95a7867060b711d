"""Architectures: their notation, what they refuse, and the paper's V5."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax.architectures import (
    densenet,
    mlp,
    parse,
    resnet,
    scale_width,
    vgg,
    wide_resnet,
)
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.architectures.densenet import DenseLayer, DenseNet
from mothernets_jax.architectures.plain import Conv, Dense, Plain
from mothernets_jax.architectures.residual_units import ResidualUnit
from mothernets_jax.architectures.resnet import ResNet
from mothernets_jax.growth.mothernet import mothernet
from mothernets_jax.presets import v5

SIZES = st.integers(1, 10_000)
CONVS = st.tuples(st.integers(0, 9).map(lambda n: 2 * n + 1), SIZES)
# Layers drawn from few, so that equal neighbours, written "x2", are common.
REPEATS = st.lists(st.sampled_from([(3, 8), (1, 8), (3, 4)]), min_size=1, max_size=6)
BLOCKS = st.lists(st.lists(CONVS, min_size=1, max_size=4) | REPEATS, min_size=1)
MLPS = st.builds(mlp, st.lists(SIZES, min_size=1), batch_norm=st.booleans())
VGGS = st.builds(vgg, BLOCKS, dense=st.lists(SIZES), batch_norm=st.booleans())
RESNETS = st.builds(
    resnet,
    st.lists(st.tuples(SIZES, BLOCKS.map(lambda blocks: blocks[0])), min_size=1),
    unit=st.sampled_from(["basic", "bottleneck", "preact"]),
    stem=st.sampled_from(["cifar", "imagenet"]),
    shortcut=st.sampled_from(["auto", "projection"]),
)
DENSENETS = st.builds(
    densenet,
    BLOCKS,
    stem=st.sampled_from(["cifar", "imagenet"]),
    stem_filters=SIZES,
    bottleneck=st.integers(0, 4),
    compression=st.floats(0.01, 1),
)
NETWORKS = MLPS | VGGS | RESNETS | DENSENETS

# The notation, and what is meant, written out as data.
NOTATIONS = [
    ("mlp 7", Plain((), (Dense(7),), False)),
    ("mlp 64 32; batch_norm", Plain((), (Dense(64), Dense(32)), True)),
    ("vgg (3:8)", Plain(((Conv(3, 8),),), (), False)),
    (
        "vgg (3:8)x2 (1:8) | (5:4); dense 9 9; batch_norm",
        Plain(
            ((Conv(3, 8), Conv(3, 8), Conv(1, 8)), (Conv(5, 4),)),
            (Dense(9), Dense(9)),
            True,
        ),
    ),
    (
        (
            "resnet 8 (3:8)x2 | 16 (3:4) (5:16); unit basic; stem cifar 8; "
            "shortcuts identity projection"
        ),
        ResNet(
            (
                (ResidualUnit(3, 8), ResidualUnit(3, 8)),
                (ResidualUnit(3, 4), ResidualUnit(5, 16)),
            ),
            (8, 16),
            ("identity", "projection"),
            "basic",
            "cifar",
            8,
        ),
    ),
    (
        "densenet (3:4)x2 | (5:6); stem 9; bottleneck 2; transitions 11",
        DenseNet(
            ((DenseLayer(3, 4), DenseLayer(3, 4)), (DenseLayer(5, 6),)), 9, 2, (11,)
        ),
    ),
    ("densenet (3:4); stem 9", DenseNet(((DenseLayer(3, 4),),), 9, 0, ())),
    (
        "densenet (3:4); stem imagenet 9",
        DenseNet(((DenseLayer(3, 4),),), 9, 0, (), "imagenet"),
    ),
]


@pytest.mark.parametrize(("notation", "architecture"), NOTATIONS)
def test_notation_by_hand(notation, architecture):
    assert str(architecture) == notation
    assert parse(notation) == architecture


@given(NETWORKS)
def test_notation_is_complete(architecture):
    assert parse(str(architecture)) == architecture


@pytest.mark.parametrize(
    "blocks",
    [
        "(3:8)x2 (1:8) | (5:4)",
        "( 3 : 8 ) x 2(1:8)|(5:4)",
        "  (3:8) (3:8)x1 (1:8)\n | (5:4) ",
        [[(3, 8), (3, 8), (1, 8)], [(5, 4)]],
        (((3, 8), (3, 8), (1, 8)), ((5, 4),)),
    ],
)
def test_vgg_reads_text_and_data(blocks):
    expected = ((Conv(3, 8), Conv(3, 8), Conv(1, 8)), (Conv(5, 4),))
    assert vgg(blocks) == Plain(expected, (), batch_norm=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vgg("(4:8)"), "filter size 4 is even"),
        (lambda: vgg([[(2, 8)]]), "filter size 2 is even"),
        (lambda: vgg("(0:8)"), "filter size is 0: expected a whole number from 1 to"),
        (lambda: vgg("(3:0)"), "number of filters is 0"),
        (lambda: vgg([[(-3, 8)]]), "filter size is -3"),
        (lambda: vgg([[(3, 8.0)]]), "number of filters is 8.0"),
        (lambda: vgg([[(True, 8)]]), "filter size is True"),
        (lambda: vgg([[(3, True)]]), "number of filters is True"),
        (lambda: vgg([[(3, "8")]]), "number of filters is '8'"),
        (lambda: vgg("(3:8)", dense=[0]), "number of units is 0"),
        (lambda: vgg("(3:8) | | (3:8)"), "block 2 is empty"),
        (lambda: vgg("(3:8) |"), "block 2 is empty"),
        (lambda: vgg([[(3, 8)], []]), "block 2 is empty"),
        (lambda: vgg(""), "block 1 is empty"),
        (lambda: vgg([]), "the network has no block"),
        (lambda: vgg("(3:8)x0"), "is repeated 0 times: expected 1 to 250 times"),
        (lambda: vgg("(3:8)x999999999"), "is repeated 999999999 times: expected 1"),
        (lambda: vgg("(3:8)x200 (3:8)x200"), "has 400 layers in a row"),
        (lambda: mlp([8] * 1001), "has 1,001 layers in a row without pooling"),
        (lambda: vgg([[3, 8]]), "layer 3 of block [3, 8] is no pair (filter size, fil"),
        (lambda: vgg([[(3, 8, 1)]]), "layer (3, 8, 1) of block [(3, 8, 1)] is no pair"),
        (lambda: vgg(["(3:8)"]), "block '(3:8)' is no list of layers such as [(3, 64)"),
        (lambda: vgg([3, 8]), "block 3 is no list of layers such as [(3, 64)]"),
        (lambda: vgg(3), "blocks are 3: expected text such as '(3:64)x2'"),
        (lambda: vgg("(3:1000001)"), "filters is 1000001: expected a whole number fr"),
        (lambda: vgg("(3:8)", batch_norm="no"), "batch_norm is 'no': expected True or"),
        (lambda: mlp((8,), batch_norm=1), "batch_norm is 1: expected True or False"),
        (lambda: vgg("(3:8) (3;8)"), "cannot read block '(3:8) (3;8)' of"),
        (lambda: vgg("(3:8) | 3:8"), "cannot read block '3:8' of '(3:8) | 3:8'"),
        (lambda: vgg("(3:-8)"), "cannot read block '(3:-8)'"),
        (lambda: mlp(()), "the network has no hidden layer"),
        (lambda: mlp((64, 0)), "number of units is 0"),
        (lambda: mlp((64, -1)), "number of units is -1"),
        (lambda: mlp((True,)), "number of units is True"),
        (lambda: mlp((64.0,)), "number of units is 64.0"),
        (lambda: mlp(("64",)), "number of units is '64'"),
        (lambda: mlp("64"), "units are '64': expected one number a layer, as (64,)"),
        (lambda: mlp(64), "units are 64: expected one number a layer"),
        (lambda: parse(64), "architecture 64 is not text such as 'mlp 64 32'"),
        (lambda: parse(""), "starts with '': expected one of 'mlp', 'vgg',"),
        (lambda: parse("resnext 64"), "starts with 'resnext': expected one of"),
        (lambda: parse("mlp"), "the network has no hidden layer"),
        (lambda: parse("mlp 64 32x2"), "cannot read units '64 32x2' of 'mlp 64 32x2'"),
        (lambda: parse("vgg"), "block 1 is empty"),
        (lambda: parse("vgg (2:8)"), "filter size 2 is even"),
        (lambda: parse("vgg (3:8); dense a"), "cannot read units 'a'"),
        (lambda: parse("mlp 64; dense 3"), "cannot read 'dense 3' in"),
        (lambda: parse("mlp 64; batchnorm"), "cannot read 'batchnorm' in"),
        (lambda: parse("mlp 64;"), "cannot read '' in"),
        (
            lambda: scale_width(mlp((8,)), 0.0),
            "width is 0.0: expected a factor above 0",
        ),
        (lambda: scale_width(mlp((8,)), -0.5), "width is -0.5"),
        (lambda: scale_width(mlp((8,)), float("nan")), "width is nan"),
        (lambda: scale_width(mlp((8,)), float("inf")), "width is inf"),
        (lambda: scale_width(mlp((8,)), True), "width is True: expected a factor"),
        (lambda: scale_width(mlp((8,)), "2"), "width is '2': expected a factor"),
        (lambda: scale_width(mlp((8,)), 1e6), "number of units is 8000000"),
        (lambda: parse("resnet 64"), "cannot read stage '64' of '64'"),
        (lambda: resnet("8 (4:8)"), "filter size 4 is even"),
        (lambda: resnet("8 (3:8) | "), "cannot read stage '' of '8 (3:8) | '"),
        (lambda: resnet([(8, [])]), "stage 1 is empty"),
        (lambda: resnet([8]), "stage 8 is no pair of a width and units"),
        (lambda: resnet("8 (3:8)", unit="plain"), "unit is 'plain': expected one of"),
        (lambda: resnet("8 (3:8)", stem="mnist"), "stem is 'mnist': expected one of"),
        (
            lambda: resnet("8 (3:8) | 9 (3:8)", shortcut="identity"),
            (
                "the shortcut of stage 2 is an identity, but the stream has 8 channels "
                "before and 9 after it"
            ),
        ),
        (
            lambda: resnet("8 (3:8)", shortcut=("identity", "identity")),
            "there are 1 stages and 2 shortcuts",
        ),
        (
            lambda: resnet("8 (3:8)", shortcut="none"),
            "the shortcut of stage 1 is 'none': expected 'identity' or 'projection'",
        ),
        (
            lambda: parse("resnet 8 (3:8); stem cifar 8 9"),
            "cannot read 'stem cifar 8 9'",
        ),
        (lambda: wide_resnet(27, 10), "depth is 27: expected 10, 16, 22, 28"),
        (lambda: wide_resnet(28, 0), "width is 0: expected a whole number"),
        (lambda: densenet("(3:12) |"), "block 2 is empty"),
        (lambda: densenet("(3:12)", bottleneck=-1), "bottleneck is -1"),
        (lambda: densenet("(3:12)", compression=0), "compression is 0: expected a sh"),
        (lambda: densenet("(3:12)", stem_filters=0), "number of stem filters is 0"),
        (
            lambda: parse("densenet (3:12) | (3:12); transitions 3 4"),
            "there are 2 transitions and 2 blocks",
        ),
        (lambda: parse("densenet (3:12); stem 3 4"), "cannot read 'stem 3 4' in"),
        (lambda: parse("densenet (3:12); stem imagenet"), "as 'stem imagenet 64'"),
        (lambda: parse("densenet (3:12); stem mnist 4"), "cannot read units 'mnist 4'"),
        (lambda: densenet("(3:12)", stem="mnist"), "stem is 'mnist': expected one of"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


# Whatever is given: a network that can be written and read again, or a ValueError.

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([1, 3, 8, 10**30])
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.complex_numbers()
    | st.sampled_from([np.int64(8), np.float32(0.5), np.True_, np.ones((1, 2))])
)
ANYTHING = st.recursive(
    ATOMS,
    lambda values: (
        st.lists(values, max_size=3)
        | st.lists(values, max_size=3).map(tuple)
        | st.dictionaries(st.integers(), values, max_size=2)
    ),
    max_leaves=12,
)
FLAGS = st.booleans() | ANYTHING
# Notation with a few characters too many, too few or in other places.
NOTATION = NETWORKS.map(str)
FRAGMENTS = st.text("vgmlp batch_norm dense;:()|x0139²٣\n", max_size=12)
DAMAGED = st.builds(
    lambda text, start, end, new: text[:start] + new + text[end:],
    NOTATION,
    *[st.integers(0, 60)] * 2,
    FRAGMENTS,
)


@settings(max_examples=300)
@given(st.data())
def test_anything_makes_a_network_or_a_value_error(data):
    make = data.draw(
        st.sampled_from(
            [
                lambda draw: mlp(draw(ANYTHING), batch_norm=draw(FLAGS)),
                lambda draw: vgg(
                    draw(BLOCKS | FRAGMENTS | ANYTHING),
                    dense=draw(st.just(()) | ANYTHING),
                    batch_norm=draw(FLAGS),
                ),
                lambda draw: parse(draw(DAMAGED | FRAGMENTS | ANYTHING)),
                lambda draw: resnet(
                    draw(FRAGMENTS | ANYTHING),
                    unit=draw(st.just("basic") | ANYTHING),
                    stem=draw(st.just("cifar") | ANYTHING),
                    shortcut=draw(st.just("auto") | ANYTHING),
                    stem_filters=draw(SIZES | ANYTHING),
                ),
                lambda draw: densenet(
                    draw(BLOCKS | FRAGMENTS | ANYTHING),
                    stem=draw(st.just("cifar") | ANYTHING),
                    stem_filters=draw(SIZES | ANYTHING),
                    bottleneck=draw(st.just(0) | ANYTHING),
                    compression=draw(st.just(1.0) | ANYTHING),
                ),
                lambda draw: wide_resnet(draw(ANYTHING), draw(ANYTHING)),
                lambda draw: scale_width(draw(NETWORKS), draw(ATOMS)),
            ]
        )
    )
    try:
        network = make(data.draw)
    except ValueError:
        return
    assert parse(str(network)) == network
    assert hash(parse(str(network))) == hash(network)


def test_frozen_and_hashable():
    one, same = vgg([[(3, 8)]], dense=[9]), vgg("(3:8)", dense=(9,))
    assert one is not same and one == same and {one: "found"}[same] == "found"
    for other in (
        vgg("(3:9)", dense=(9,)),
        vgg("(1:8)", dense=(9,)),
        vgg("(3:8)", dense=(8,)),
        vgg("(3:8)", dense=(9,), batch_norm=False),
        vgg("(3:8)x2", dense=(9,)),
        mlp((9,), batch_norm=True),
    ):
        assert other != one
    for record, field in [
        (one, "dense"),
        (one.blocks[0][0], "filters"),
        (one.dense[0], "units"),
    ]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field, 3)


def test_sections_and_names():
    network = vgg("(3:8)x2 | (1:4)", dense=(9, 5))
    assert network.family == "vgg" and mlp((3,)).family == "mlp"
    assert [[u.width for u in s] for s in network.sections] == [[8, 8], [4], [9, 5]]
    assert network.unit_names == (
        ("block1_conv1", "block1_conv2"),
        ("block2_conv1",),
        ("dense1", "dense2"),
    )
    assert mlp((7, 7)).unit_names == (("dense1", "dense2"),)
    assert vgg("(3:8)").unit_names == (("block1_conv1",), ())


@pytest.mark.parametrize(
    ("before", "width", "after"),
    [
        ("mlp 64 30 1", 0.5, "mlp 32 15 1"),
        ("mlp 3", 0.01, "mlp 1"),  # never below 1
        ("vgg (3:64) | (5:10); dense 40", 0.25, "vgg (3:16) | (5:2); dense 10"),
        ("vgg (3:8)x2; batch_norm", 1.5, "vgg (3:12)x2; batch_norm"),
    ],
)
def test_scale_width(before, width, after):
    assert str(scale_width(parse(before), width)) == after


# PAPER.md, section 6: each layer written out, and the millions of parameters, which
# stand there cut off after two digits.
V5 = {
    "V13": (9.41, "3:64 3:64, 3:128 3:128", "3:256 3:256, 3:512 3:512, 3:512 3:512"),
    "V16": (
        10.00,
        "3:64 3:64, 3:128 3:128",
        "3:256 3:256 1:256, 3:512 3:512 1:512, 3:512 3:512 1:512",
    ),
    "V16A": (
        6.48,
        "3:128 3:128, 3:128 3:128",
        "3:128 3:128 1:256, 3:512 3:512 1:512, 3:256 3:256 1:512",
    ),
    "V16B": (
        14.72,
        "3:64 3:64, 3:128 3:128",
        "3:256 3:256 3:256, 3:512 3:512 3:512, 3:512 3:512 3:512",
    ),
    "V19": (
        20.03,
        "3:64 3:64, 3:128 3:128",
        "3:256 3:256 3:256 3:256, 3:512 3:512 3:512 3:512, 3:512 3:512 3:512 3:512",
    ),
}
MOTHER_OF_V5 = "3:64 3:64, 3:128 3:128, 3:128 3:128, 3:512 3:512, 3:256 3:256"


def written_out(*texts):
    blocks = tuple(
        tuple(Conv(*map(int, layer.split(":"))) for layer in block.split())
        for text in texts
        for block in text.split(",")
    )
    return Plain(blocks, (), batch_norm=True)


def million_params(network):
    return num_params(network, (32, 32, 3), 10) // 10_000 / 100


def test_v5_is_the_papers():
    networks = v5()
    assert list(networks) == list(V5)
    for name, (millions, *blocks) in V5.items():
        assert networks[name] == written_out(*blocks)
        assert million_params(networks[name]) == millions


def test_mothernet_of_v5_is_the_papers_worked_example():
    mother = mothernet(v5().values())
    assert mother == written_out(MOTHER_OF_V5)
    assert million_params(mother) == 5.28


def test_v5_scaled():
    for thin, whole in zip(v5(0.125).values(), v5().values(), strict=True):
        assert thin.blocks == tuple(
            tuple(Conv(conv.filter_size, conv.filters // 8) for conv in block)
            for block in whole.blocks
        )
