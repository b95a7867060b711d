"""Members of one MotherNet overlap least, whatever order they are given in."""

import collections

import chex
import jax
import numpy as np
import pytest

from mothernets_jax.architectures import parse
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.layouts import opposite_layouts
from mothernets_jax.models.variables import init
from mothernets_jax.utils.pytrees import named_key

KEY = jax.random.key(3)
CLUSTERS = {
    "mlp": ("mlp 7", ["mlp 9", "mlp 30", "mlp 9", "mlp 9"]),
    "vgg": (
        "vgg (3:5) | (3:4); dense 3",
        [
            "vgg (3:7)x2 | (3:9); dense 4",
            "vgg (3:6) | (3:4); dense 3 3",
            "vgg (3:7)x2 | (3:9); dense 4",
        ],
    ),
    "resnet": ("resnet 5 (3:4)", ["resnet 7 (3:6) (3:4)", "resnet 8 (3:5)"] * 2),
}


def members_of(name):
    mother, members = CLUSTERS[name]
    return parse(mother), {f"N{i}": parse(m) for i, m in enumerate(members)}


# A layer of each that continues the mother's of the same name.
LAYERS = {"mlp": "dense1", "resnet": "stem"}


@pytest.mark.parametrize("name", LAYERS)
def test_no_channel_is_copied_twice_while_another_is_free(name):
    """Told from the grown kernels, in which copies are like originals."""
    mother, members = members_of(name)
    variables = init(mother, jax.random.key(0), (6, 6, 2), 3)
    layouts = opposite_layouts(mother, members, KEY)
    copies = collections.Counter()
    own = np.asarray(variables["params"][LAYERS[name]]["kernel"])
    number = own.shape[-1]
    for member, layout in layouts.items():
        grown = hatch(variables, mother, members[member], KEY, layout=layout)
        wide = np.asarray(grown["params"][LAYERS[name]]["kernel"])
        for channel in wide.T[number:]:
            (same,) = (i for i in range(number) if np.allclose(own.T[i], channel))
            copies[same] += 1
    counts = [copies[i] for i in range(number)]
    assert sum(counts) > 2 and max(counts) - min(counts) <= 1


def test_every_layer_has_its_turn():
    """By hand; of the second block 5 copies for each of two members, of 4 channels."""
    mother, members = members_of("vgg")
    starts = [opposite_layouts(mother, members, KEY)[n].starts for n in sorted(members)]
    assert starts[0] == {
        "block1_conv1": 0,
        "block1_conv2": 0,
        "block2_conv1": 0,
        "dense1": 0,
    }
    assert starts[1] == {"block1_conv1": 2}
    assert starts[2] == {
        "block1_conv1": 3,
        "block1_conv2": 2,
        "block2_conv1": 1,
        "dense1": 1,
    }


def test_layouts_depend_on_names_alone():
    mother, members = members_of("resnet")
    one = opposite_layouts(mother, members, KEY)
    other = opposite_layouts(mother, dict(reversed(members.items())), KEY)
    assert one.keys() == other.keys() == members.keys()
    for name in members:
        chex.assert_trees_all_equal(one[name], other[name])


def test_noise_is_in_opposite_pairs():
    """Of one architecture, by names; the odd one has noise of its own."""
    mother = parse("mlp 3")
    members = {name: parse("mlp 3") for name in "CAB"} | {"AA": parse("mlp 4")}
    layouts = opposite_layouts(mother, members, KEY)
    variables = init(mother, jax.random.key(0), (2, 2, 1), 2)

    def noise(name):
        args = variables, mother, members[name], named_key(KEY, name)
        loud, clean = (hatch(*args, layout=layouts[name], noise=n) for n in (0.1, 0.0))
        return jax.tree.map(np.subtract, loud["params"], clean["params"])["dense1"]

    one, other, third = (noise(name)["kernel"] for name in "ABC")
    np.testing.assert_allclose(one, -other, atol=1e-6)
    assert np.abs(one).min() > 0 and np.abs(np.abs(third) - np.abs(one)).min() > 1e-6
    # The first of a pair, and one alone, have the noise of their own keys.
    args = variables, mother, members["A"], named_key(KEY, "A")
    layout = layouts["A"]
    chex.assert_trees_all_equal(
        hatch(*args, layout=layout, noise=0.1), hatch(*args, noise=0.1)
    )


@pytest.mark.parametrize(
    "layout, message",
    [
        (
            "opposite",
            "layout is 'opposite': expected the member's own entry of mn.oppo",
        ),
        ("N1", r"another member: it is for channels \['dense1'\], and those .* \[\]"),
    ],
)
def test_refused(layout, message):
    mother, members = parse("mlp 3"), {"N0": parse("mlp 3"), "N1": parse("mlp 4")}
    layout = opposite_layouts(mother, members, KEY).get(layout, layout)
    variables = init(mother, jax.random.key(0), (2, 2, 1), 2)
    with pytest.raises(ValueError, match=message):
        hatch(variables, mother, members["N0"], KEY, layout=layout)
