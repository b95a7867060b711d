"""What clusters reuse, against constructing the MotherNet of every set of members."""

import functools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax.architectures import parse
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth.best_alignment import _undominated
from mothernets_jax.growth.mothernet import mothernet, obstacle
from mothernets_jax.growth.shared_parameters import bits, make_gain

SHAPE, CLASSES = (8, 8, 3), 10
size_of = functools.partial(num_params, input_shape=SHAPE, num_classes=CLASSES)

# Of each family networks that differ in depths, in sizes and in what is besides units;
# the last ones repeat a network, or connect with nothing before them.
ENSEMBLES = {
    "mlp": ["mlp 9 5", "mlp 7", "mlp 6 8 4", "mlp 9 5", "mlp 9; batch_norm"],
    "vgg": [
        "vgg (3:8)x3 | (5:6); dense 7",
        "vgg (3:9) | (3:8) (1:5)",
        "vgg (1:7)x2 | (3:8); dense 6 4",
        "vgg (1:7)x2 | (3:8); dense 6 4; batch_norm",
        "vgg (5:6) (3:9) | (3:4)x2; dense 7; batch_norm",
    ],
    "resnet": [
        "resnet 8 (3:8)x2 | 8 (3:6); shortcuts identity identity",
        "resnet 9 (3:4) | 7 (5:6)x2; shortcuts identity projection",
        "resnet 6 (3:8) | 8 (3:5)x3; stem cifar 5; shortcuts projection projection",
        "resnet 6 (3:8) | 8 (3:5)x3; unit bottleneck",
        "resnet 7 (3:6) | 8 (5:5); unit bottleneck",
    ],
    "densenet": [
        "densenet (3:4)x4 | (3:3)x2; transitions 7",
        "densenet (3:5) (5:6) | (3:2)x5; stem 12; transitions 11",
        "densenet (3:2)x3 | (3:9); stem 9; transitions 9",
        "densenet (3:2)x3 | (3:9); bottleneck 4",
        "densenet (3:6) | (5:4)x2; bottleneck 2; transitions 5",
    ],
}


def expected_gain(members, min_shared, align):
    """By the definition; the reused parameters, or None."""
    if any(obstacle(members[0], other) for other in members):
        return None
    shared = size_of(mothernet(members, align=align))
    if any(shared / size_of(member) < min_shared for member in members):
        return None
    return (len(members) - 1) * shared


@pytest.mark.parametrize("align", ["first", "best"])
@pytest.mark.parametrize("family", ENSEMBLES)
def test_every_set(family, align):
    members = [parse(notation) for notation in ENSEMBLES[family]]
    members += [parse("mlp 3 3"), members[0]]
    found = {}
    for min_shared in (0.0, 0.4):
        gain = make_gain(members, min_shared, align, SHAPE, CLASSES)
        for mask in range(1, 1 << len(members)):
            chosen = [m for i, m in enumerate(members) if mask >> i & 1]
            found[mask, min_shared] = gain(mask)
            assert gain(mask) == expected_gain(chosen, min_shared, align), chosen
    shared = [m for m in range(1, 1 << len(members)) if found[m, 0.0] is not None]
    refused = [m for m in shared if found[m, 0.4] is None]
    assert refused and len(shared) > len(refused) + len(members)  # all cases are met


@settings(max_examples=50)
@given(st.sets(st.integers(0, 120)))
def test_bits(positions):
    assert bits(sum(1 << i for i in positions)) == sorted(positions)


def test_best_alignment_keeps_no_vector_that_another_exceeds():
    """Also where nothing limits what passes in front, as in residual networks."""
    endless = math.inf
    vectors = [(endless, 1, 2), (endless, 2, 2), (3, 2, 2), (endless, 0, 3)]
    kept = [(endless, 0, 3), (endless, 2, 2)]
    assert sorted(_undominated(vectors)) == kept
    assert sorted(_undominated(vectors[::-1])) == kept
