"""The ensembles: by the rules that their docstrings state."""

import pytest

from mothernets_jax import presets
from mothernets_jax.architectures import mlp, parse, vgg
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth.clustering import cluster
from mothernets_jax.growth.mothernet import mothernet

SHAPE, CLASSES = (32, 32, 3), 10
SIZES = {"v5": 5, "r10": 10, "d5": 5, "v25": 25, "r25": 25, "v100": 100, "w5": 5}
FEWEST = {"r10": 2, "r25": 2}  # clusters; 1 of all others
REPLICAS = {"v100": 12}  # networks that occur before in the list; 0 of all others


@pytest.mark.parametrize("name", [*SIZES, "m5"])
def test_ensembles_are_as_large_as_they_say_and_differ(name):
    networks = getattr(presets, name)()
    assert len(networks) == SIZES.get(name, 5)
    assert len(set(networks.values())) == len(networks) - REPLICAS.get(name, 0)
    assert all(parse(str(network)) == network for network in networks.values())
    thin = getattr(presets, name)(width=0.25)
    for full, quarter in zip(networks.values(), thin.values(), strict=True):
        sizes = [num_params(n, SHAPE, CLASSES) for n in (full, quarter)]
        assert sizes[1] < sizes[0] / 4
        assert len(full.sections) == len(quarter.sections)


@pytest.mark.parametrize("name", [*SIZES, "m5"])
def test_the_fewest_clusters_that_can_be_connected(name):
    networks = getattr(presets, name)()
    found = cluster(networks, input_shape=SHAPE, num_classes=CLASSES)
    assert len(found) == FEWEST.get(name, 1)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("r25", "v100")]


@pytest.mark.parametrize("name", ["v5", "r10", "d5", "w5", "m5", "v25", *SLOW])
def test_one_and_two_clusters_more(name):
    networks = getattr(presets, name)()
    fewest = FEWEST.get(name, 1)
    reused = []
    for number in (fewest, fewest + 1, fewest + 2):
        found = cluster(
            networks, num_clusters=number, input_shape=SHAPE, num_classes=CLASSES
        )
        assert len(found) == number
        assert sorted(m for c in found for m in c.members) == sorted(networks)
        reused.append([num_params(c.mothernet, SHAPE, CLASSES) for c in found])
    # The smallest MotherNet is one that all of a larger cluster's members can hold.
    assert max(reused[-1]) >= max(reused[0])


def test_units_that_cannot_be_connected_are_named():
    with pytest.raises(ValueError, match="num_clusters=1 is too few") as error:
        cluster(presets.r10(), num_clusters=1, input_shape=SHAPE, num_classes=CLASSES)
    assert "one has basic units, the other bottleneck units" in str(error.value)


VGG16 = "(3:64)x2 | (3:128)x2 | (3:256)x3 | (3:512)x3 | (3:512)x3"


def test_variants_of_v25_by_hand():
    networks = presets.v25()
    # Variant 1: layer 1 a quarter wider; 2: layer 2 a larger filter; 3: layer 3 both.
    assert networks["V1"] == vgg(VGG16.replace("(3:64)x2", "(3:80) (3:64)"))
    assert networks["V2"] == vgg(VGG16.replace("(3:64)x2", "(3:64) (5:64)"))
    assert networks["V3"] == vgg(VGG16.replace("(3:128)x2", "(5:160) (3:128)"))
    # Variant 14 is of layer 1 again, 13 mod 3 = 1.
    assert networks["V14"] == vgg(VGG16.replace("(3:64)x2", "(5:64) (3:64)"))
    assert list(networks) == [f"V{number}" for number in range(1, 26)]


# The first and last number of the authors' variants, the difference of number and
# layer, the factor on its filters and the growth of their size; then pairs of layers:
# first and last, the first layer, and the difference of number and second layer.
ONE_LAYER = [
    (1, 12, 0, 1.25, 0),
    (13, 19, 12, 1.0, 2),
    (20, 26, 19, 1.25, 2),
    (27, 29, 19, 1.0, 2),
    (30, 32, 22, 1.25, 2),
    (33, 42, 30, 1.5, 0),
    (43, 50, 42, 1.25, 2),
]
TWO_LAYERS = [
    (51, 61, 1, 49),
    (62, 71, 2, 59),
    (72, 80, 3, 68),
    (81, 87, 4, 76),
    (88, 91, 4, 79),
    (92, 97, 5, 86),
    (98, 98, 5, 89),
    (99, 99, 6, 92),
]


def test_v100_is_the_authors_list():
    networks = presets.v100()
    assert list(networks) == [f"V{number}" for number in range(100)]
    assert networks["V0"] == vgg(VGG16)
    layers = [layer for block in networks["V0"].blocks for layer in block]
    expected = {0: {}}
    for first, last, less, wider, larger in ONE_LAYER:
        for number in range(first, last + 1):
            expected[number] = {number - less: (wider, larger)}
    for first, last, layer, less in TWO_LAYERS:
        for number in range(first, last + 1):
            expected[number] = {layer: (1.25, 0), number - less: (1.25, 0)}
    assert list(expected) == [*range(100)]
    for number, changes in expected.items():
        network = networks[f"V{number}"]
        found = [layer for block in network.blocks for layer in block]
        changed = {
            place: (new.filters / old.filters, new.filter_size - old.filter_size)
            for place, (old, new) in enumerate(zip(layers, found, strict=True), start=1)
            if old != new
        }
        assert changed == changes
    # The last of each range, as the list has it.
    assert [max(expected[n]) for n in (61, 71, 80, 87, 91, 97)] == [
        12,
        12,
        12,
        11,
        12,
        11,
    ]
    # Nothing shrinks anywhere.
    assert mothernet(networks.values()) == networks["V0"]


def test_r25_has_five_forms_of_five_resnets():
    networks = presets.r25()
    assert list(networks) == [
        f"R{d}{f}" for d in (18, 34, 50, 101, 152) for f in "ABCDE"
    ]
    forms = {"B": (1, 2, 0), "C": (0, 2, 0), "D": (1, 1, 2), "E": (0, 1, 2)}
    for depth in (18, 34, 50, 101, 152):
        plain = presets.resnet_of_depth(depth)
        assert networks[f"R{depth}A"] == plain
        inner = [unit.inner for stage in plain.stages for unit in stage]
        for form, (parity, factor, more) in forms.items():
            network = networks[f"R{depth}{form}"]
            assert (network.widths, network.stem) == (plain.widths, plain.stem)
            found = [unit.inner for stage in network.stages for unit in stage]
            assert found == [
                factor * width + more if number % 2 == parity else width
                for number, width in enumerate(inner, start=1)
            ]
    thin = presets.r25(width=0.125)
    assert thin["R18D"].stages[0][0].inner == 8 + 2
    assert thin["R18B"].stages[0][0].inner == 2 * 8


def test_resnets_have_the_depths_of_their_names():
    for depth in (18, 34, 50, 101, 152):
        network = presets.resnet_of_depth(depth)
        convolutions = 3 if network.unit == "bottleneck" else 2
        units = sum(map(len, network.stages))
        assert units * convolutions + 2 == depth  # the stem and the head
    with pytest.raises(ValueError, match="depth is 20: expected one of 18, 34"):
        presets.resnet_of_depth(20)


def test_mlps_are_normalised():
    assert presets.m5()["M2"] == mlp((512, 512), batch_norm=True)
