"""The ensembles: by the rules that their docstrings state."""

import pytest

from mothernets_jax import presets
from mothernets_jax.architectures import mlp, parse, vgg
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth.clustering import cluster

SHAPE, CLASSES = (32, 32, 3), 10
SIZES = {"v5": 5, "r10": 10, "d5": 5, "v25": 25, "r25": 25, "v100": 100, "w5": 5}
FEWEST = {"r10": 2}  # clusters; 1 of all others


@pytest.mark.parametrize("name", [*SIZES, "m5"])
def test_ensembles_are_as_large_as_they_say_and_differ(name):
    networks = getattr(presets, name)()
    assert len(networks) == SIZES.get(name, 5)
    assert len(set(networks.values())) == len(networks)
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


def test_variants_of_vgg16_by_hand():
    networks = presets.v100()
    plain = "(3:64)x2 | (3:128)x2 | (3:256)x3 | (3:512)x3 | (3:512)x3"
    # Variant 1: layer 1 a quarter wider; 2: layer 2 a larger filter; 3: layer 3 both.
    assert networks["V1"] == vgg(plain.replace("(3:64)x2", "(3:80) (3:64)"))
    assert networks["V2"] == vgg(plain.replace("(3:64)x2", "(3:64) (5:64)"))
    assert networks["V3"] == vgg(plain.replace("(3:128)x2", "(5:160) (3:128)"))
    # Variant 40 begins the second round: layer 40 - 1 mod 13 = 0, twice a quarter.
    assert networks["V40"] == vgg(plain.replace("(3:64)x2", "(3:96) (3:64)"))
    assert list(presets.v25()) == list(networks)[:25]


def test_variants_of_resnet34_change_one_unit():
    plain = presets.resnet_of_depth(34)
    for number, network in enumerate(presets.r25().values()):
        changed = [
            (one, other)
            for a, b in zip(plain.stages, network.stages, strict=True)
            for one, other in zip(a, b, strict=True)
            if one != other
        ]
        ((before, after),) = changed
        wider, larger = ((1.25, 0), (1.0, 2), (1.25, 2))[number % 3]
        assert after.inner == before.inner * wider
        assert after.filter_size == before.filter_size + larger


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
