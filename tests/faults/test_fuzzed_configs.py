"""Whatever a config or a notation holds: a plan, or one message. Nothing else.

What would need petabytes, or a year, is refused or planned at once.
"""

import functools
import os
import signal
from io import StringIO

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rich.console import Console

from configs.vgg_ensemble import get_config
from mothernets_jax import data
from mothernets_jax.architectures import parse
from mothernets_jax.config.identity import digest
from mothernets_jax.config.nested import nested_settings
from mothernets_jax.methods import METHODS, read_settings
from mothernets_jax.runs import experiment

FEW, MANY = 60, int(os.environ.get("MOTHERNETS_JAX_FUZZ", "2000"))
SECONDS = 60  # of an example, on a machine that does other things, too
LONGEST_MESSAGE = 1_500  # characters


class TooSlowError(BaseException):
    """Not an Exception, lest what is tested takes it for one of its own."""


def give_up(*_):
    raise TooSlowError(f"an example took more than {SECONDS} seconds")


@pytest.fixture(autouse=True)
def digits_are_read_once(monkeypatch):
    load = functools.cache(data._LOADERS["digits"])
    monkeypatch.setitem(data._LOADERS, "digits", load)


def outcome(function):
    """What a function returns, or its message, which must be one paragraph."""
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        result = function()
        event("right")
        return result
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        event("refused")
        assert 10 < len(message) <= LONGEST_MESSAGE, message
        assert len(message.splitlines()) == 1, message
        return message
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Values.

BASE = get_config("digits").to_dict()
HOSTILE = st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\n\n",
        "../../etc/passwd",
        "/dev/null",
        "~root",
        "[/red]",
        "{0}",
        "%s%n",
        "$(id)",
        "\ud800",
        "\u202e",
        "é",
        "None",
        "nan",
        "x" * 10_000,
        "tfds:",
        "tfds:../x",
        "tfds:no such",
        "mlp 64",
    ]
)
NUMBERS = st.one_of(
    st.integers(-3, 20),
    st.integers(),
    st.sampled_from([2**31, 2**32, 2**63, 10**12, 10**400]),
    st.floats(),
    st.floats(0, 1),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | HOSTILE | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | HOSTILE, inner, max_size=3)
    ),
    max_leaves=5,
)
# What else a field may be told, so that many examples get beyond the first check.
WORDS = {
    "align": ["first", "best"],
    "strategy": ["auto", "vmap", "unroll", "loop"],
    "precision": ["auto", "float32", "bfloat16"],
    "combine": ["average", "vote", "weighted", "greedy"],
    "data.name": ["digits", "folder"],
    "data.crop": ["shift", "resized"],
    "data.resize": ["crop", "pad", "stretch"],
    "data.crop_border": ["black", "reflect"],
    "data.flip": ["none", "random", "alternating"],
    "train.schedule": ["cosine", "linear", "hold_linear", "step", "constant"],
    "hatch.schedule": ["cosine", "linear", "hold_linear", "step", "constant"],
    "train.stop": ["epochs", "plateau"],
    "hatch.split": ["random", "equal"],
    "hatch.growth": ["copies", "pairs", "zeros"],
    "hatch.layout": ["random", "opposite"],
    "budget.reference": ["V13", "V19_2", ""],
}


def near(value):
    """Values like one that is right: smaller, larger, or a little wrong."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(0, 2 * value + 2) | st.sampled_from([100, 10**4, 10**6])
    if value is None:
        return st.none() | st.integers(0, 20) | st.floats(0, 1)
    if isinstance(value, float):
        return st.floats(0, 2 * value) | st.floats(0, 1) | st.floats(0, 1e9)
    return st.just(value)


# Notations, right and wrong.

sizes = st.sampled_from([1, 3, 5, 7, 8, 16, 2, 0, 999_999, 10**6, 10**7, 10**12])
counts = st.sampled_from(["", "x2", "x3", "x20", "x100", "x250", "x0", "x9999"])
units = st.builds("({}:{}){}".format, sizes, sizes, counts)
rows = st.lists(units, max_size=3).map(" ".join)
blocks = st.lists(rows, min_size=1, max_size=4).map(" | ".join)
stages = st.lists(st.builds("{} {}".format, sizes, rows), min_size=1, max_size=4)
dense = st.lists(sizes.map(str), max_size=4).map(" ".join)
clauses = st.lists(
    st.one_of(
        st.just("batch_norm"),
        st.builds("dense {}".format, dense),
        st.builds("unit {}".format, st.sampled_from(["basic", "bottleneck", "preact"])),
        st.builds("stem {} {}".format, st.sampled_from(["cifar", "imagenet"]), sizes),
        st.builds("stem {}".format, sizes),
        st.just("shortcuts projection projection"),
        st.builds("bottleneck {}".format, sizes),
        st.builds("transitions {}".format, dense),
    ),
    max_size=2,
).map(lambda found: "".join(f"; {clause}" for clause in found))
made = st.one_of(
    st.builds("mlp {}{}".format, dense, clauses),
    st.builds("vgg {}{}".format, blocks, clauses),
    st.builds("densenet {}{}".format, blocks, clauses),
    st.builds("resnet {}{}".format, stages.map(" | ".join), clauses),
)


@st.composite
def mutated(draw):
    """A notation with some of its characters left out, doubled or replaced."""
    text = draw(made)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 3))
        text = text[:place] + draw(st.text(max_size=2)) + text[place + length :]
    return text


# Right ones, from a few layers to as many and as wide as may be.
sane = st.sampled_from([1, 4, 8, 16, 64, 10**6])
sane_units = st.builds(
    "({}:{}){}".format, st.sampled_from([1, 3, 5, 999]), sane, counts
)
sane_units = sane_units.filter(lambda unit: not unit.endswith(("x0", "x9999")))
sane_rows = st.lists(sane_units, min_size=1, max_size=3).map(" ".join)
sane_blocks = st.lists(sane_rows, min_size=1, max_size=4).map(" | ".join)
sane_stages = st.lists(
    st.builds("{} {}".format, sane, sane_rows), min_size=1, max_size=4
)
right = st.one_of(
    st.lists(sane.map(str), min_size=1, max_size=30).map(" ".join).map("mlp {}".format),
    st.builds("vgg {}{}".format, sane_blocks, st.sampled_from(["", "; batch_norm"])),
    st.builds("vgg {}; dense {}".format, sane_blocks, sane),
    st.builds("densenet {}; stem {}".format, sane_blocks, sane),
    st.builds("densenet {}; bottleneck {}".format, sane_blocks, sane),
    st.builds("resnet {}".format, sane_stages.map(" | ".join)),
    st.builds("resnet {}; unit preact".format, sane_stages.map(" | ".join)),
)

notations = right | made | mutated() | HOSTILE | st.text(max_size=30)
right_networks = st.dictionaries(
    st.sampled_from(["A", "B", "C", "D", "E", "F", "G"]), right, min_size=1, max_size=6
)
networks = st.dictionaries(
    st.sampled_from(["A", "B", "C", "a_1", "mothernet_1", "x y", "", "é", "n" * 300]),
    notations | ANYTHING,
    max_size=4,
)


def paths(group, prefix=""):
    """Every field of a config that is no group, and its value."""
    for name, value in group.items():
        if isinstance(value, dict) and name not in ("architectures", "prices"):
            yield from paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


FIELDS = dict(paths(BASE))


@st.composite
def configs(draw):
    """The example's config with some fields changed, added or left out."""
    config = get_config("digits").to_dict()
    if draw(st.booleans()):
        methods = st.lists(st.sampled_from(list(METHODS)), min_size=1, unique=True)
        config["methods"] = tuple(draw(methods))
    kind = draw(st.sampled_from(["as they are", "right", "right", "any"]))
    if kind != "as they are":
        config["architectures"] = draw(right_networks if kind == "right" else networks)
    for path in draw(st.lists(st.sampled_from(list(FIELDS)), max_size=4, unique=True)):
        *groups, name = path.split(".")
        group = config
        for key in groups:
            group = group[key]
        match draw(st.sampled_from(["near"] * 8 + ["any", "gone", "more"])):
            case "near":
                words = WORDS.get(path)
                value = FIELDS[path]
                group[name] = draw(st.sampled_from(words) if words else near(value))
            case "any":
                group[name] = draw(ANYTHING)
            case "gone":
                del group[name]
            case "more":
                group[draw(st.text(max_size=8) | HOSTILE)] = draw(ANYTHING)
    return config


def plan(config):
    """What `launch.py --plan` does."""
    frozen = read_settings(config)
    digest(frozen)
    experiment.show_plan(frozen, Console(file=StringIO(), width=100))


def check_config(config):
    outcome(lambda: plan(config))


def check_notation(notation):
    def read():
        architecture = parse(notation)
        assert parse(str(architecture)) == architecture

    outcome(read)


# What a caller of Python may hand over: nested, with dots, or both at once.
names = st.sampled_from([*FIELDS, *BASE, "seed.x", "train.lr", "train.", "."]) | HOSTILE
given_settings = st.dictionaries(
    names,
    st.sampled_from([0, 1.5, "", (), {}, {"epochs": 3}, {"x": {"y": 1}}]) | ANYTHING,
    max_size=4,
)


few = settings(max_examples=FEW, suppress_health_check=list(HealthCheck))
many = settings(max_examples=MANY, suppress_health_check=list(HealthCheck))


@few
@given(configs())
def test_a_config_ends_in_a_plan_or_a_message(config):
    check_config(config)


@few
@given(notations)
def test_a_notation_ends_in_a_network_or_a_message(notation):
    check_notation(notation)


@few
@given(given_settings, given_settings)
def test_settings_from_python_end_in_settings_or_a_message(own, fields):
    outcome(lambda: read_settings(nested_settings(own, fields)))


@pytest.mark.slow
@many
@given(configs())
def test_many_configs_end_in_a_plan_or_a_message(config):
    check_config(config)


@pytest.mark.slow
@many
@given(notations)
def test_many_notations_end_in_a_network_or_a_message(notation):
    check_notation(notation)


def test_the_example_is_planned():
    """The control: a config that nobody has touched is no mistake."""
    plan(BASE)
