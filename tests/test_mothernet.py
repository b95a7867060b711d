"""MotherNets: the paper's rules by hand, and on random clusters by exhaustion."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.architectures import Architecture, Conv, Dense, mlp, parse, vgg
from mothernets_jax.costs import num_params
from mothernets_jax.mothernet import matched_units, mothernet, obstacle

# Members, and their MotherNet worked out by hand.
BY_HAND = {
    "fully connected: fewest layers, fewest units at each place": (
        ["mlp 64 32", "mlp 48 40 50", "mlp 70 33 36"],
        "mlp 48 32",
    ),
    "each attribute has its own minimum": (
        ["vgg (3:8) (5:4)", "vgg (5:6) (1:9)", "vgg (7:7) (3:5)"],
        "vgg (3:6) (1:4)",
    ),
    "block by block": (
        ["vgg (3:8)x3 | (3:8)", "vgg (3:8) | (3:8)x2", "vgg (3:8)x2 | (3:8)x3"],
        "vgg (3:8) | (3:8)",
    ),
    "the dense layers are a last block": (
        ["vgg (3:4); dense 9 8", "vgg (3:4); dense 7"],
        "vgg (3:4); dense 7",
    ),
    "batch normalisation stays": (
        ["vgg (3:4); batch_norm", "vgg (3:5); batch_norm"],
        "vgg (3:4); batch_norm",
    ),
    "an inserted layer caps the layer that it follows": (
        ["mlp 64 32", "mlp 48 32 16"],
        "mlp 48 16",
    ),
    "a match caps its own place alone": (["mlp 9 9 9", "mlp 9 2 9 9"], "mlp 9 2 9"),
    "all inserted layers cap": (["mlp 9", "mlp 9 5 7"], "mlp 5"),
    "a cap at the end of a block": (
        ["vgg (3:8) | (3:8)", "vgg (3:8) (3:2) | (3:8)"],
        "vgg (3:2) | (3:8)",
    ),
    "an inserted filter caps nothing": (["vgg (3:8)", "vgg (3:8) (1:8)"], "vgg (3:8)"),
    "a cap from the dense head": (["vgg (3:8)", "vgg (3:8); dense 9 3"], "vgg (3:3)"),
    "a cap across the border into the dense head": (
        ["vgg (3:8) | (3:8)", "vgg (3:8) | (3:8) (3:7); dense 6"],
        "vgg (3:8) | (3:6)",
    ),
    "a match in the dense head ends the cap": (
        ["vgg (3:8); dense 5", "vgg (3:8) (3:7); dense 5 6"],
        "vgg (3:7); dense 5",
    ),
    "one network is its own MotherNet": (
        ["vgg (5:8)x2 (1:3) | (3:4); dense 7; batch_norm"],
        "vgg (5:8)x2 (1:3) | (3:4); dense 7; batch_norm",
    ),
}


@pytest.mark.parametrize("rule", BY_HAND)
def test_mothernet_by_hand(rule):
    notations, expected = BY_HAND[rule]
    members = [parse(notation) for notation in notations]
    for order in (members, members[::-1], members[1:] + members[:1], members * 2):
        assert str(mothernet(order)) == expected
    assert str(mothernet(iter(members))) == expected


OBSTACLES = [
    ("mlp 8", "vgg (3:8)", "one is of the family mlp, the other of vgg"),
    ("vgg (3:8)", "vgg (3:8) | (3:8)", "they have 1 and 2 blocks"),
    ("mlp 8", "mlp 8; batch_norm", "one has batch normalisation, the other has not"),
    ("vgg (3:8)", "vgg (3:8); batch_norm", "one has batch normalisation"),
]


@pytest.mark.parametrize(("one", "other", "reason"), OBSTACLES)
def test_networks_that_nothing_connects(one, other, reason):
    one, other = parse(one), parse(other)
    found = obstacle(one, other)
    assert found is not None and reason in found
    with pytest.raises(ValueError, match="no MotherNet connects") as error:
        mothernet([one, one, other])
    assert str(one) in str(error.value) and str(other) in str(error.value)
    assert obstacle(other, one) and obstacle(one, one) is None
    with pytest.raises(ValueError, match="cannot be hatched from"):
        matched_units(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mlp 8", "mlp 3 3 3"),
        ("vgg (1:2) | (3:4)", "vgg (5:3)x2 | (3:4)x3; dense 9 9"),
    ],
)
def test_networks_that_growth_connects(one, other):
    assert obstacle(parse(one), parse(other)) is None


def test_mothernet_refuses():
    with pytest.raises(ValueError, match="at least one architecture, found none"):
        mothernet([])
    with pytest.raises(ValueError, match="align is 'last': expected 'first'"):
        mothernet([mlp((8,))], align="last")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mother", "member", "matches"),
    [
        ("mlp 4 3", "mlp 5 5 3", {"dense1": "dense1", "dense2": "dense2"}),
        (
            "vgg (3:4) | (1:4)x2",
            "vgg (3:4)x3 | (3:4)x3; dense 4",
            {
                "block1_conv1": "block1_conv1",
                "block2_conv1": "block2_conv1",
                "block2_conv2": "block2_conv2",
            },
        ),
        (
            "vgg (3:4); dense 3",
            "vgg (3:4)x2; dense 3 9",
            {"block1_conv1": "block1_conv1", "dense1": "dense1"},
        ),
    ],
)
def test_matched_units_by_hand(mother, member, matches):
    assert matched_units(parse(mother), parse(member)) == matches


@pytest.mark.parametrize(
    ("mother", "member", "message"),
    [
        (
            "mlp 8 8",
            "mlp 8",
            "section 1 has 2 layers in the mother and 1 in the member",
        ),
        ("vgg (3:8)x2", "vgg (3:8)", "section 1 has 2 layers"),
        ("vgg (3:8) | (3:8)x2", "vgg (3:8)x2 | (3:8)", "section 2 has 2 layers"),
        ("vgg (3:8); dense 8", "vgg (3:8)", "section 2 has 1 layers"),
        ("vgg (5:8)", "vgg (3:9)", "the mother's block1_conv1 has the larger filter"),
        ("vgg (1:8) (3:8)", "vgg (1:8)x2", "block1_conv2 has the larger filter"),
        ("mlp 9", "mlp 8", "dense1 hands on 9 channels in the mother"),
        ("mlp 8 8", "mlp 8 8 5", "dense2 hands on 8 channels.*carry only 5"),
        ("vgg (3:8)", "vgg (3:8) (3:4)", "block1_conv1 hands on 8.*carry only 4"),
        ("vgg (3:8)", "vgg (3:8); dense 9 7", "block1_conv1 hands on 8.*only 7"),
    ],
)
def test_growth_that_is_impossible(mother, member, message):
    with pytest.raises(ValueError, match=message) as error:
        matched_units(parse(mother), parse(member))
    assert f"{member!r} cannot be hatched from {mother!r}" in str(error.value)


# Random clusters. What can be grown is told here by a walk along the member.


def can_grow(mother: Architecture, member: Architecture) -> bool:
    carried = 0  # channels of the mother that have to get through
    for mine, theirs in zip(member.sections, mother.sections, strict=True):
        if len(theirs) > len(mine):
            return False
        for position, unit in enumerate(mine):
            if position < len(theirs):
                match = theirs[position]
                if isinstance(unit, Conv) and unit.filter_size < match.filter_size:
                    return False
                carried = match.width
            if unit.width < carried:
                return False
    return True


def larger_by_one_step(network: Architecture):
    """Every network with one attribute larger: a width, a filter, or a depth."""
    sections = network.sections
    for number, section in enumerate(sections):
        new: Conv | Dense = Conv(1, 1) if number < len(network.blocks) else Dense(1)
        larger = [(*section, new)]
        for position, unit in enumerate(section):
            if isinstance(unit, Conv):
                grown = [Conv(unit.filter_size + 2, unit.filters)]
                grown += [Conv(unit.filter_size, unit.filters + 1)]
            else:
                grown = [Dense(unit.units + 1)]
            larger += [
                (*section[:position], g, *section[position + 1 :]) for g in grown
            ]
        for changed in larger:
            *blocks, dense = (*sections[:number], changed, *sections[number + 1 :])
            yield dataclasses.replace(network, blocks=tuple(blocks), dense=dense)


WIDTHS = st.integers(1, 6)
LAYERS = st.lists(st.tuples(st.sampled_from([1, 3, 5]), WIDTHS), min_size=1, max_size=3)


@st.composite
def clusters(draw):
    """One to five members that can be connected."""
    batch_norm, number = draw(st.booleans()), draw(st.integers(0, 3))
    if number:
        blocks = st.lists(LAYERS, min_size=number, max_size=number)
        dense = st.lists(WIDTHS, max_size=2)
        member = st.builds(vgg, blocks, dense=dense, batch_norm=st.just(batch_norm))
    else:
        hidden = st.lists(WIDTHS, min_size=1, max_size=4)
        member = st.builds(mlp, hidden, batch_norm=st.just(batch_norm))
    return draw(st.lists(member, min_size=1, max_size=5))


@given(clusters())
def test_matched_units_accepts_what_can_grow(members):
    for mother in members:
        for member in members:
            try:
                matched_units(mother, member)
                accepted = True
            except ValueError:
                accepted = False
            assert accepted == can_grow(mother, member)


@given(clusters())
def test_mothernet_is_the_largest(members):
    mother = mothernet(members)
    for member in members:
        matched_units(mother, member)
        assert can_grow(mother, member)
        size, whole = (num_params(a, (8, 8, 3), 4) for a in (mother, member))
        assert size <= whole
    for larger in larger_by_one_step(mother):
        assert not all(can_grow(larger, member) for member in members), larger
        with pytest.raises(ValueError, match=re.escape(str(larger))):
            for member in members:
                matched_units(larger, member)


@given(clusters(), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(members, random):
    shuffled = members + random.choices(members, k=2)
    random.shuffle(shuffled)
    assert mothernet(shuffled) == mothernet(members)
    # What grows into all members is a MotherNet's MotherNet, too.
    assert mothernet([mothernet(members), *members]) == mothernet(members)
