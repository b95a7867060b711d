"""MotherNets: the paper's rules by hand, and on random clusters by exhaustion."""

import dataclasses
import itertools
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax.architectures import (
    Architecture,
    densenet,
    mlp,
    parse,
    resnet,
    vgg,
)
from mothernets_jax.architectures.base import smallest
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.architectures.plain import Conv, Dense
from mothernets_jax.growth.alignment import fitting_sections
from mothernets_jax.growth.mothernet import Match, matched_units, mothernet, obstacle
from mothernets_jax.presets import v5

CLUSTERS = int(os.environ.get("MOTHERNETS_JAX_CLUSTERS", "20"))
ALIGNS = ("first", "best")

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
    with pytest.raises(ValueError, match="align is 'last': expected 'first' or"):
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
    found = matched_units(parse(mother), parse(member))
    assert found == {unit: Match(name) for unit, name in matches.items()}


@pytest.mark.parametrize(
    ("mother", "member", "message"),
    [
        (
            "mlp 8 8",
            "mlp 8",
            "section 1 has 2 units in the mother and 1 in the member",
        ),
        ("vgg (3:8)x2", "vgg (3:8)", "section 1 has 2 units"),
        ("vgg (3:8) | (3:8)x2", "vgg (3:8)x2 | (3:8)", "section 2 has 2 units"),
        ("vgg (3:8); dense 8", "vgg (3:8)", "section 2 has 1 units"),
        (
            "vgg (5:8)",
            "vgg (3:9)",
            r"block1_conv1 is \(5:8\) in the mother, and at most \(3:8|9\)",
        ),
        (
            "vgg (1:8) (3:8)",
            "vgg (1:8)x2",
            r"block1_conv2 is \(3:8\) in the mother, and at most \(1:8\)",
        ),
        ("mlp 9", "mlp 8", "dense1 is 9 in the mother, and at most 8 can grow"),
        ("mlp 8 8", "mlp 8 8 5", "dense2 is 8 in the mother, and at most 5"),
        (
            "vgg (3:8)",
            "vgg (3:8) (3:4)",
            r"block1_conv1 is \(3:8\) in the mother, and at most \(3:4\)",
        ),
        (
            "vgg (3:8)",
            "vgg (3:8); dense 9 7",
            r"block1_conv1 is \(3:8\) in the mother, and at most \(3:7\)",
        ),
    ],
)
def test_growth_that_is_impossible(mother, member, message):
    with pytest.raises(ValueError, match=message) as error:
        matched_units(parse(mother), parse(member))
    assert f"{member!r} cannot be hatched from {mother!r}" in str(error.value)


# Random clusters of plain networks. What can be grown is told here by a walk along the
# member, for a choice of the units that continue the mother's.


def can_grow(mother: Architecture, member: Architecture, starts=None) -> bool:
    """With these units matched, by default the first of each section."""
    starts = starts or [range(len(section)) for section in mother.sections]
    carried = 0  # channels of the mother that have to get through
    for mine, theirs, places in zip(
        member.sections, mother.sections, starts, strict=True
    ):
        if len(theirs) > len(mine):
            return False
        for position, unit in enumerate(mine):
            if position in places:
                match = theirs[list(places).index(position)]
                if isinstance(unit, Conv) and unit.filter_size < match.filter_size:
                    return False
                carried = match.width
            if unit.width < carried:
                return False
    return True


def can_grow_somehow(mother: Architecture, member: Architecture) -> bool:
    """With any choice of units that begins with the network's first."""
    pairs = zip(mother.sections, member.sections, strict=True)
    choices = [
        list(itertools.combinations(range(len(mine)), len(theirs)))
        for theirs, mine in pairs
    ]
    choices[0] = [choice for choice in choices[0] if choice and choice[0] == 0]
    return any(can_grow(mother, member, s) for s in itertools.product(*choices))


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
            assert accepted == can_grow_somehow(mother, member)


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


@given(clusters(), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(members, random):
    shuffled = members + random.choices(members, k=2)
    random.shuffle(shuffled)
    assert mothernet(shuffled) == mothernet(members)
    # What grows into all members is a MotherNet's MotherNet, too.
    assert mothernet([mothernet(members), *members]) == mothernet(members)


# The best alignment, against all alignments of all members at all depths.


def all_choices(member, depths):
    """Units that are matched, for every way to match so many in each section."""
    return itertools.product(
        *(
            [
                choice
                for choice in itertools.combinations(range(len(section)), depth)
                if not (member.is_pinned(number) and choice and choice[0])
            ]
            for number, (section, depth) in enumerate(
                zip(member.sections, depths, strict=True)
            )
        )
    )


def largest_by_exhaustion(members) -> int:
    """Parameters, on the images for which the alignment counts them."""
    sections = list(zip(*(member.sections for member in members), strict=True))
    least = [1] * len(sections)
    if members[0].units_carry and len(sections) > 1:
        least[-1] = 0  # dense layers behind blocks
    ranges = [
        range(fewest, min(map(len, section)) + 1)
        for fewest, section in zip(least, sections, strict=True)
    ]
    best = 0
    for depths in itertools.product(*ranges):
        found = {None}
        for member in members:
            own = {fitting_sections(member, s) for s in all_choices(member, depths)}
            found = {
                of
                if one is None
                else tuple(
                    tuple(map(smallest, zip(*section, strict=True)))
                    for section in zip(one, of, strict=True)
                )
                for one in found
                for of in own
            }
        for mother in found:
            network = type(members[0]).assemble(members, mother)
            best = max(best, num_params(network, (32, 32, 3), 10))
    return best


PAIRS = st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([4, 8, 12, 16]))
FAMILIES = {
    "mlp": lambda _: st.builds(mlp, st.lists(WIDTHS, min_size=1, max_size=5)),
    "vgg": lambda blocks: st.builds(vgg, blocks, dense=st.lists(WIDTHS, max_size=2)),
    "resnet": lambda blocks: st.builds(
        resnet, blocks.map(lambda b: [(8, units) for units in b])
    ),
    "densenet": lambda blocks: st.builds(densenet, blocks),
    "bottleneck": lambda blocks: st.builds(densenet, blocks, bottleneck=st.just(2)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_best_alignment_is_the_best(family):
    @settings(max_examples=CLUSTERS)
    @given(st.data())
    def check(data):
        number, most = data.draw(st.sampled_from([(1, 5), (2, 3)]))
        block = st.lists(PAIRS, min_size=1, max_size=most)
        blocks = st.lists(block, min_size=number, max_size=number)
        member = FAMILIES[family](blocks)
        members = data.draw(st.lists(member, min_size=1, max_size=5, unique=True))
        first, best = mothernet(members), mothernet(members, align="best")
        for own in members:
            matched_units(first, own)
            matched_units(best, own)
        sizes = [num_params(mother, (32, 32, 3), 10) for mother in (first, best)]
        assert sizes[0] <= sizes[1] == largest_by_exhaustion(members)

    check()


def test_best_alignment_of_v5():
    """As measured on a prototype: 5.28 M parameters become 5.76 M."""
    members = v5().values()
    sizes = [num_params(mothernet(members, align=a), (32, 32, 3), 10) for a in ALIGNS]
    assert [round(size / 1e6, 2) for size in sizes] == [5.28, 5.76]


# Families other than plain ones, by hand.

RESIDUAL = {
    "fewest units, smallest filters and widths": (
        [
            "resnet 8 (3:8)x3 | 16 (5:9) (3:8); shortcuts identity projection",
            "resnet 9 (3:7) | 12 (3:16)x3; shortcuts identity projection",
        ],
        (
            "resnet 8 (3:7) | 12 (3:9) (3:8); unit basic; stem cifar 8; "
            "shortcuts identity projection"
        ),
    ),
    "an identity joins the streams on both of its sides": (
        [
            "resnet 8 (3:4) | 8 (3:4); stem cifar 9; shortcuts projection identity",
            "resnet 7 (3:4) | 6 (3:4); stem cifar 9; shortcuts projection projection",
        ],
        (
            "resnet 6 (3:4) | 6 (3:4); unit basic; stem cifar 9; "
            "shortcuts projection identity"
        ),
    ),
    "dense layers one by one where there are bottlenecks": (
        [
            "densenet (3:8)x2 | (3:8); stem 9; bottleneck 4; transitions 9",
            "densenet (5:6)x3 | (3:9)x2; stem 8; bottleneck 2; transitions 12",
        ],
        "densenet (3:6)x2 | (3:8); stem 8; bottleneck 2; transitions 9",
    ),
    "the stem's kind is kept, its width is the smallest": (
        ["densenet (3:8); stem imagenet 9", "densenet (3:6); stem imagenet 7"],
        "densenet (3:6); stem imagenet 7",
    ),
    "and else a layer may become several": (
        ["densenet (3:8)x2; stem 8", "densenet (3:4)x5; stem 8"],
        "densenet (3:8)x2; stem 8",
    ),
}


@pytest.mark.parametrize("case", RESIDUAL)
def test_other_families_by_hand(case):
    members, expected = RESIDUAL[case]
    assert str(mothernet(map(parse, members))) == expected


def test_one_dense_layer_becomes_several():
    mother, member = (
        parse("densenet (3:8)x2; stem 8"),
        parse("densenet (3:3)x7; stem 8"),
    )
    assert matched_units(mother, member) == {
        "block1_layer1": Match("block1_layer1", 0),
        "block1_layer2": Match("block1_layer1", 3),
        "block1_layer3": Match("block1_layer1", 6),
        "block1_layer4": Match("block1_layer2", 0),
        "block1_layer5": Match("block1_layer2", 3),
        "block1_layer6": Match("block1_layer2", 6),
    }


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (
            "resnet 8 (3:8)",
            "vgg (3:8)",
            "one is of the family resnet, the other of vgg",
        ),
        ("resnet 8 (3:8)", "resnet 8 (3:8); unit bottleneck", "one has basic units"),
        ("resnet 8 (3:8)", "resnet 8 (3:8); stem imagenet", "one has the stem 'cifar'"),
        ("resnet 8 (3:8)", "resnet 8 (3:8) | 8 (3:8)", "they have 1 and 2 stages"),
        (
            "resnet 8 (3:8); unit preact",
            "resnet 8 (3:8); unit preact; shortcuts projection",
            "cannot turn an identity into a projection",
        ),
        ("densenet (3:8)", "densenet (3:8)|(3:8)", "they have 1 and 2 blocks"),
        ("densenet (3:8)", "densenet (3:8); bottleneck 2", "one has bottlenecks"),
        ("densenet (3:8)", "densenet (3:8); stem imagenet 16", "one has the stem 'cif"),
    ],
)
def test_obstacles_of_other_families(one, other, reason):
    for pair in ((one, other), (other, one)):
        assert obstacle(*map(parse, pair))
        with pytest.raises(ValueError, match="no MotherNet connects"):
            mothernet(map(parse, pair))
    assert reason in (obstacle(parse(one), parse(other)) or "")


@pytest.mark.parametrize(
    ("mother", "member", "message"),
    [
        ("resnet 9 (3:8)", "resnet 8 (3:8)", "the stem's width is 9 in the mother and"),
        (
            "resnet 8 (3:8); stem cifar 8",
            "resnet 7 (3:8); stem cifar 8",
            "the width of stage 1's stream is 8 in the mother and 7",
        ),
        (
            "resnet 8 (3:8); shortcuts projection",
            "resnet 8 (3:8)",
            "the number of projections in stage 1 is 1 in the mother and 0",
        ),
        (
            "densenet (3:8); bottleneck 3",
            "densenet (3:8); bottleneck 2",
            "the bottleneck is 3 in the mother and 2",
        ),
    ],
)
def test_frames_that_are_too_large(mother, member, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        matched_units(parse(mother), parse(member))
