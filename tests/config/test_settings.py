"""Settings: what is refused and in which words, what is converted, what is kept."""

import copy
import dataclasses
import hashlib
import json

import pytest

from configs.vgg_ensemble import get_config
from mothernets_jax.architectures import mlp
from mothernets_jax.config.defaults import default_config
from mothernets_jax.config.identity import digest, without_other_methods
from mothernets_jax.config.settings import SECTIONS, Recipe, Settings
from mothernets_jax.config.validation import from_config

METHODS = ("mothernets", "full_data")
GONE = object()  # in place of a value: the field is left out


def changed(**changes):
    """The example's config as a dict; `train__epochs=3` changes `train.epochs`."""
    config = get_config("digits").to_dict()
    config["architectures"] = {"A": "mlp 8", "B": "mlp 9 4"}
    for path, value in changes.items():
        *groups, name = path.split("__")
        group = config
        for key in groups:
            group = group[key]
        group.pop(name, None)
        if value is not GONE:
            group[name] = value
    return config


def make(**changes):
    return from_config(changed(**changes), METHODS)


def leaves(group=None, prefix=""):
    """Every field of a config that is no group, as `train__epochs`, and its value."""
    for name, value in (changed() if group is None else group).items():
        if isinstance(value, dict) and name not in ("architectures", "prices"):
            yield from leaves(value, f"{prefix}{name}__")
        else:
            yield f"{prefix}{name}", value


FIELDS = dict(leaves())

# What is wrong, and what the message must say: the field, what was found, what was
# expected.
BAD = [
    # A field too many or too few.
    ({"sead": 1}, "no setting config.sead: did you mean config.seed?"),
    ({"train__epoch": 1}, "no setting config.train.epoch: did", "g.train.epochs?"),
    ({"hatch__batch_size": 1}, "config.hatch.batch_size: did", "train.batch_size?"),
    ({"momentum": 0.9}, "no setting config.momentum: SGD's is always 0.9"),
    ({"methods": ("mothernets full_data",)}, "methods=\"('mothernets', 'full_data')\""),
    # A wrong type.
    ({"train": 3}, "config.train is 3", "expected a group of fields"),
    ({"seed": 1.0}, "config.seed is 1.0", "expected a whole number"),
    ({"seed": True}, "config.seed is True", "expected a whole number"),
    ({"seed": None}, "config.seed is None", "expected a whole number"),
    ({"train__epochs": "30"}, "config.train.epochs is '30'", "a whole number"),
    ({"train__learning_rate": "0.1"}, "config.train.learning_rate is '0.1'", "number"),
    ({"train__learning_rate": True}, "config.train.learning_rate is True", "a number"),
    ({"num_clusters": 2.0}, "config.num_clusters is 2.0", "a whole number"),
    ({"min_shared": "half"}, "config.min_shared is 'half'", "expected a number"),
    ({"data__flip": True}, "config.data.flip is True", "expected text"),
    ({"data__dir": 1}, "config.data.dir is 1", "expected text"),
    ({"methods": "mothernets"}, "config.methods is 'mothernets'", "expected a tuple"),
    ({"methods": ("mothernets", 3)}, "config.methods[1] is 3", "expected text"),
    ({"architectures": ("mlp 8",)}, "config.architectures is ('mlp 8',)", "names and"),
    ({"architectures": {"A": 8}}, "config.architectures.A is 8", "expected text"),
    # Out of range.
    ({"seed": -1}, "config.seed is -1", "expected 0 or more"),
    ({"replicas": 0}, "config.replicas is 0", "expected 1 or more"),
    ({"num_clusters": 0}, "config.num_clusters is 0", "expected 1 to 4, the number"),
    ({"num_clusters": 5}, "config.num_clusters is 5", "expected 1 to 4, the number"),
    ({"train__epochs": 0}, "config.train.epochs is 0", "expected 1 or more"),
    ({"train__batch_size": 0}, "config.train.batch_size is 0", "1 or more"),
    ({"train__learning_rate": -0.1}, "config.train.learning_rate is -0.1", "0 or more"),
    ({"train__learning_rate": float("nan")}, "config.train.learning_rate is nan"),
    ({"train__learning_rate": float("inf")}, "config.train.learning_rate is inf"),
    ({"train__weight_decay": -1}, "config.train.weight_decay is -1.0", "0 or more"),
    ({"train__label_smoothing": -0.1}, "config.train.label_smoothing is -0.1"),
    ({"train__label_smoothing": 1}, "label_smoothing is 1.0", "less than 1"),
    ({"train__warmup_epochs": -1}, "config.train.warmup_epochs is -1.0", "0 or more"),
    ({"train__patience_epochs": 0}, "config.train.patience_epochs is 0", "1 or more"),
    ({"hatch__epochs": 0}, "config.hatch.epochs is 0", "expected 1 or more"),
    ({"hatch__noise": -0.1}, "config.hatch.noise is -0.1", "expected 0 or more"),
    ({"hatch__warmup_epochs": -1}, "config.hatch.warmup_epochs is -1.0", "0 or more"),
    ({"mother__cycles": 0}, "config.mother.cycles is 0", "1 or more"),
    ({"mother__schedule": "cosin"}, "config.mother.schedule is 'cosin'", "'cosine'?"),
    (
        {"mother__schedule": "constant", "mother__cycles": 2},
        "config.mother.cycles is 2: expected 1 with config.mother.schedule='constant'",
    ),
    (
        {"hatch__average": "tail", "train__stop": "plateau"},
        "config.hatch.average is 'tail'",
        "config.train.stop is 'plateau'",
        "use 'ema'",
    ),
    ({"train__average": "swa"}, "config.train.average is 'swa'", "'none', 'ema', 'ta"),
    ({"train__average_epochs": 0}, "average_epochs is 0.0", "expected more than 0"),
    ({"mother__budget_share": 1.1}, "config.mother.budget_share is 1.1", "from 0 to 1"),
    (
        {"mother__init": "net", "methods": ("full_data",)},
        "config.mother.init is 'net', and config.methods has no 'mothernets'",
        "add it, or leave this out",
    ),
    (
        {"mother__init": "net", "num_clusters": 2},
        "config.num_clusters is 2 and config.mother.init 'net'",
        "in one cluster: leave one out",
    ),
    (
        {"mother__init": "net", "min_shared": 0.5},
        "config.min_shared is 0.5 and config.mother.init 'net'",
        "in one cluster: leave one out",
    ),
    ({"budget__epochs": -1.0}, "config.budget.epochs is -1.0", "0 or more"),
    ({"distillation__temperature": 0.0}, "temperature is 0.0", "more than 0"),
    ({"distillation__share": 2.0}, "config.distillation.share is 2.0", "from 0 to 1"),
    ({"treenets__shared_blocks": 0}, "shared_blocks is 0", "expected 1 or more"),
    ({"snapshot__cycle_epochs": 0}, "cycle_epochs is 0", "expected 1 or more"),
    ({"prices": {"cpu": -1}}, "config.prices.cpu is -1.0", "expected 0 or more"),
    ({"fge__cycle_epochs": 3}, "config.fge.cycle_epochs is 3", "an even number"),
    ({"fge__largest_rate": 1e-5}, "largest_rate is 1e-05", "expected 0.0001 or more"),
    ({"data__fold": -1}, "config.data.fold is -1", "expected 0 or more"),
    ({"data__image_size": 0}, "config.data.image_size is 0", "expected 1 or more"),
    ({"data__crop_padding": -1}, "config.data.crop_padding is -1", "0 or more"),
    ({"data__workers": -1}, "config.data.workers is -1", "expected 0 or more"),
    ({"data__memory_share": 1.5}, "config.data.memory_share is 1.5", "from 0", "to 1"),
    ({"data__validation_fraction": 1.0}, "data.validation_fraction is 1.0", "less th"),
    ({"data__calibration_fraction": -0.1}, "data.calibration_fraction is -0.1", "0 or"),
    ({"data__calibration_fraction": float("nan")}, "data.calibration_fraction is nan"),
    # A name that there is not.
    ({"data__crop": "resize"}, "config.data.crop is 'resize'", "mean 'resized'?"),
    ({"data__resize": "padd"}, "config.data.resize is 'padd'", "'crop'", "mean 'pad'?"),
    ({"align": "last"}, "config.align is 'last'", "'first', 'best'"),
    ({"strategy": "vmapp"}, "config.strategy is 'vmapp'", "'unroll'", "mean 'vmap'?"),
    ({"data__flip": "alternate"}, "data.flip is 'alternate'", "mean 'alternating'?"),
    ({"data__crop_border": "white"}, "data.crop_border is 'white'", "'reflect'"),
    ({"combine": "oracle"}, "config.combine is 'oracle'", "'average', 'vote', 'weigh"),
    ({"combine": "greedyy"}, "config.combine is 'greedyy'", "mean 'greedy'?"),
    ({"combine": "greedy"}, "config.combine is 'greedy'", "calibration_fraction is 0"),
    ({"train__schedule": "cos"}, "config.train.schedule is 'cos'", "mean 'cosine'?"),
    ({"hatch__schedule": "line"}, "config.hatch.schedule is 'line'", "'constant'"),
    ({"train__class_weights": "balance"}, "class_weights is 'balance'", "'balanced'?"),
    ({"train__optimizer": "adam"}, "train.optimizer is 'adam'", "mean 'adamw'?"),
    ({"train__stop": "never"}, "config.train.stop is 'never'", "'epochs', 'plateau'"),
    ({"hatch__split": "half"}, "config.hatch.split is 'half'", "'random', 'equal'"),
    ({"hatch__growth": "ones"}, "config.hatch.growth is 'ones'", "'copies', 'pairs', "),
    ({"hatch__layout": "ring"}, "config.hatch.layout is 'ring'", "'random', 'opposi"),
    ({"methods": ()}, "config.methods is empty", "mothernets, full_data"),
    ({"methods": ("mothernet",)}, "config.methods[0] is 'mothernet'", "mean 'mothern"),
    ({"methods": METHODS[:1] * 2}, "config.methods[1] is 'mothernets'", "most once"),
    # Architectures.
    ({"architectures": {}}, "config.architectures is empty", "at least one network"),
    ({"architectures": {"A": "mlp"}}, "config.architectures.A", "no hidden layer"),
    ({"architectures": {"A": "vgg (2:8)"}}, "config.architectures.A", "2 is even"),
    ({"architectures": {"A": "vgg 3:8"}}, "config.architectures.A", "cannot read"),
    ({"architectures": {"A": "rnn 3"}}, "config.architectures.A", "with 'rnn'"),
    ({"architectures": {"teacher": "mlp 3"}}, "has the name 'teacher'", "not 'mothe"),
    ({"architectures": {"../A": "mlp 3"}}, "has the name '../A'", "expected letters"),
    ({"architectures": {"": "mlp 3"}}, "has the name ''", "expected letters"),
    # Two that exclude each other.
    (
        {"num_clusters": 2, "min_shared": 0.5},
        "config.num_clusters is 2",
        "min_shared is 0.5",
        "give one of them",
    ),
    (
        {"data__validation_fraction": 0.25, "data__calibration_fraction": 0.75},
        "config.data.validation_fraction is 0.25",
        "config.data.calibration_fraction is 0.75",
        "less than 1 together",
    ),
    (
        {"train__epochs": 2, "train__warmup_epochs": 2.5},
        "config.train.warmup_epochs is 2.5",
        "expected at most config.train.epochs, which is 2",
    ),
    (
        {"hatch__epochs": 1, "hatch__warmup_epochs": 1.01},
        "config.hatch.warmup_epochs is 1.01",
        "expected at most config.hatch.epochs, which is 1",
    ),
    # More members than anybody trains; a typing error, which would build them all.
    ({"replicas": 501}, "config.replicas is 501", "1,002 members of 2 architectures"),
    (
        {"replicas": 10**15},
        "config.replicas is 1000000000000000",
        "at most 250 members",
    ),
    # Keys are made of 32 bits: this seed would repeat the run of seed 0.
    ({"seed": 2**32}, "config.seed is 4294967296"),
    ({"min_shared": 1.5}, "config.min_shared is 1.5"),
    # Names of the method's own networks and, by way of 'A-B', of two stages.
    ({"architectures": {"mothernet_1": "mlp 8"}}, "'mothernet_1'"),
    ({"architectures": {"A": "mlp 8", "B": "mlp 8", "A-B": "mlp 9"}}, "'A-B'"),
]


def label(changes):
    return ", ".join(
        f"{path.replace('__', '.')}={'GONE' if value is GONE else value!r}"
        for path, value in changes.items()
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [pytest.param(c, e, id=label(c)) for c, *e in BAD],
)
def test_a_bad_setting_is_refused_in_clear_words(changes, expected):
    with pytest.raises(ValueError) as caught:
        make(**changes)
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in expected if part not in message] == [], message


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_s_type_is_checked(path):
    name = f"config.{path.replace('__', '.')}"
    with pytest.raises(ValueError, match=f"^{name} is b'x': expected "):
        make(**{path: b"x"})


def test_a_config_of_an_earlier_version_loads():
    """Whatever field it lacks has its default; the example says where it differs."""
    for path in FIELDS.keys() - {"architectures"}:
        settings, default = make(**{path: GONE}), Settings()
        for name in path.split("__"):
            settings, default = getattr(settings, name), getattr(default, name)
        assert settings == default, path
    architectures = {"A": "mlp 8"}
    alone = from_config({"architectures": architectures}, METHODS)
    assert alone == dataclasses.replace(Settings(), architectures=architectures)
    with pytest.raises(ValueError, match="config.architectures is empty"):
        from_config({}, METHODS)


def test_the_default_config_is_that_of_the_settings():
    config = default_config().lock()
    config.architectures = {"A": "mlp 8"}
    config.num_clusters, config.data.image_size = 1, 32  # placeholders can be set
    config.budget.epochs = 2.0
    settings = from_config(config, METHODS)
    assert (settings.num_clusters, settings.data.image_size) == (1, 32)
    assert settings.budget.epochs == 2.0
    assert dict(leaves(default_config().to_dict())).keys() == FIELDS.keys()


def test_a_config_that_is_no_mapping_is_refused():
    with pytest.raises(ValueError, match=r"^config is 3: expected a group of fields"):
        from_config(3, METHODS)  # type: ignore[arg-type]


def test_values_arrive_where_they_belong():
    settings = make(seed=7, methods=["full_data"], train__learning_rate=1)
    assert settings.seed == 7
    assert settings.methods == ("full_data",)  # a list becomes a tuple
    assert settings.train.learning_rate == 1.0
    assert isinstance(settings.train.learning_rate, float)  # an int becomes a float
    assert settings.num_clusters is None
    assert make(min_shared=1).min_shared == 1.0


def test_a_locked_config_gives_the_same_settings():
    assert from_config(get_config("digits").lock(), METHODS) == from_config(
        get_config("digits").to_dict(), METHODS
    )


def test_settings_are_frozen():
    settings = make()
    for group in (settings, settings.data, settings.train, settings.hatch):
        field = dataclasses.fields(group)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(group, field, getattr(group, field))


def test_the_config_is_not_written_to():
    config = changed()
    before = copy.deepcopy(config)
    settings = from_config(config, METHODS)
    assert config == before
    config["architectures"]["C"] = "mlp 3"
    config["train"]["epochs"] = 1
    assert set(settings.architectures) == {"A", "B"}
    assert settings.train.epochs == before["train"]["epochs"]


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        (1, {"A": (8,), "B": (9, 4)}),
        (2, {"A_1": (8,), "A_2": (8,), "B_1": (9, 4), "B_2": (9, 4)}),
    ],
)
def test_replicas_are_numbered_members_of_one_architecture(replicas, expected):
    members = make(replicas=replicas).members
    assert members == {name: mlp(hidden) for name, hidden in expected.items()}
    assert list(members) == list(expected)


def test_the_most_that_is_allowed():
    assert len(make(replicas=125).members) == 250
    assert make(replicas=2, num_clusters=4).num_clusters == 4
    learned = make(combine="super_learner", data__calibration_fraction=0.05)
    assert learned.combine == "super_learner"
    settings = make(train__epochs=2, train__warmup_epochs=2, hatch__epochs=1)
    assert settings.train.warmup_epochs == settings.train.epochs
    assert settings.hatch_recipe.warmup_epochs <= settings.hatch_recipe.epochs


def test_hatched_members_train_by_train_where_hatch_says_nothing():
    settings = make(
        train__batch_size=17,
        train__weight_decay=0.3,
        train__label_smoothing=0.2,
        train__class_weights="balanced",
        train__stop="plateau",
        train__patience_epochs=4,
        hatch__epochs=3,
        hatch__learning_rate=0.01,
        hatch__schedule="step",
        hatch__warmup_epochs=0.25,
    )
    assert settings.hatch_recipe == Recipe(
        epochs=3,
        batch_size=17,
        learning_rate=0.01,
        weight_decay=0.3,
        label_smoothing=0.2,
        schedule="step",
        warmup_epochs=0.25,
        stop="plateau",
        patience_epochs=4,
        class_weights="balanced",
    )


# Another valid value for every field.
OTHERS = {
    "seed": 1,
    "methods": ("full_data",),
    "architectures": {"A": "mlp 8", "B": "mlp 9 5"},
    "replicas": 3,
    "grown": ("add D=mlp 9",),
    "num_clusters": 1,
    "min_shared": 0.5,
    "strategy": "loop",
    "placement": "timed",
    "precision": "bfloat16",
    "combine": "vote",
    "data__name": "folder",
    "data__dir": "images",
    "data__fold": 1,
    "data__train_examples": 200,
    "data__validation_fraction": 0.2,
    "data__calibration_fraction": 0.3,
    "data__test_fraction": 0.3,
    "data__image_size": 32,
    "align": "first",
    "data__crop": "resized",
    "data__resize": "pad",
    "data__crop_padding": 2,
    "data__crop_border": "reflect",
    "data__flip": "alternating",
    "data__augment": "randaugment(2, 9) + mixup(0.2)",
    "data__memory_share": 0.25,
    "data__workers": 2,
    "data__ood_name": "svhn",
    "data__ood_dir": "others",
    "train__epochs": 31,
    "train__batch_size": 64,
    "train__learning_rate": 0.2,
    "train__weight_decay": 1e-4,
    "train__label_smoothing": 0.1,
    "train__class_weights": "balanced",
    "train__schedule": "step",
    "train__warmup_epochs": 2.0,
    "train__stop": "plateau",
    "train__patience_epochs": 16,
    "train__optimizer": "adamw",
    "train__average": "ema",
    "train__average_epochs": 2.0,
    "mother__average": "ema",
    "hatch__average": "ema",
    "hatch__average_epochs": 2.0,
    "snapshot__average": "ema",
    "fge__average": "ema",
    "hatch__epochs": 7,
    "hatch__learning_rate": 0.2,
    "hatch__schedule": "step",
    "hatch__warmup_epochs": 0.75,
    "hatch__noise": 0.01,
    "hatch__split": "equal",
    "hatch__growth": "pairs",
    "hatch__layout": "opposite",
    "hatch__momentum": True,
    "hatch__bags": True,
    "mother__schedule": "cosine",
    "mother__cycles": 2,
    "mother__budget_share": 0.25,
    "mother__init": "trained",
    "mother__init_epochs": 2,
    "budget__epochs": 7.5,
    "budget__limit": "5min",
    "budget__reference": "A",
    "distillation__temperature": 2.0,
    "distillation__share": 0.75,
    "distillation__budget_share": 0.5,
    "treenets__shared_blocks": 2,
    "snapshot__cycle_epochs": 3,
    "snapshot__learning_rate": 0.05,
    "fge__cycle_epochs": 2,
    "fge__largest_rate": 0.01,
    "fge__smallest_rate": 0.001,
    "swa__start_share": 0.5,
    "swa__learning_rate": 0.02,
    "prune_and_tune__epochs": 5,
    "prune_and_tune__learning_rate": 0.2,
    "prune_and_tune__schedule": "linear",
    "prune_and_tune__average": "ema",
    "prune_and_tune__budget_share": 0.5,
    "checkpoint__interval_seconds": 5.0,
    "log__tensorboard": True,
    "prices": {"cpu": 0.5},
}
# What changes no training; where nothing is resized, the way to do it does not.
HARMLESS = (
    "combine",
    "data__workers",
    "data__resize",
    "checkpoint__interval_seconds",
    "log__tensorboard",
    "prices",
)


def test_the_digest_differs_where_any_field_differs():
    assert OTHERS.keys() == FIELDS.keys()
    digests = {digest(make(**{path: value})) for path, value in OTHERS.items()}
    assert len(digests | {digest(make())}) == len(OTHERS) - len(HARMLESS) + 1
    for path in HARMLESS:
        assert digest(make(**{path: OTHERS[path]})) == digest(make())
    assert all(len(digest) == 8 and int(digest, 16) >= 0 for digest in digests)


def as_before(settings):
    """The values that tell experiments apart, without fields that once were not."""
    values = settings.to_json()
    later_sections = ("grown", "placement", "swa", "prune_and_tune")
    for name in ("prices", "combine", "checkpoint", "log", *later_sections):
        values.pop(name)
    later = {
        "data": ("workers", "resize", "test_fraction", "augment"),
        "train": ("class_weights", "optimizer", "average", "average_epochs"),
        "mother": ("average", "init", "init_epochs"),
        "hatch": ("average", "average_epochs", "growth", "layout"),
        "budget": ("limit",),
        "snapshot": ("average",),
        "fge": ("average",),
    }
    for group, names in later.items():
        for name in names:
            values[group].pop(name)
    return values


def test_the_digest_is_of_the_values_alone():
    """So that every process finds the same folder (`test_launch` tries another)."""
    one = make(train__learning_rate=1)
    assert digest(one) == digest(make(train__learning_rate=1.0))
    canonical = json.dumps(as_before(one), sort_keys=True)
    assert digest(one) == hashlib.sha256(canonical.encode()).hexdigest()[:8]


def test_the_digest_knows_resizing_where_images_are_resized():
    resized = [{"data__image_size": 32}, {"data__ood_name": "svhn"}]
    for size in resized:
        ways = ("crop", "pad", "stretch")
        digests = [digest(make(**size, data__resize=way)) for way in ways]
        assert len(set(digests)) == 3
        # Runs from before there was a choice have no field, and were stretched.
        canonical = json.dumps(as_before(make(**size)), sort_keys=True)
        before = hashlib.sha256(canonical.encode()).hexdigest()[:8]
        assert digests[2] == before
    # ImageNet's crops take their own parts.
    crops = {"data__image_size": 32, "data__crop": "resized"}
    assert digest(make(**crops)) == digest(make(**crops, data__resize="stretch"))


# Of these pairs a run has one.
TOGETHER = OTHERS | {"min_shared": None, "budget__epochs": None, "mother__init": ""}


@pytest.mark.parametrize("changes", [{}, TOGETHER], ids=len)
def test_json_holds_all_and_makes_the_same_settings(changes):
    settings = make(**changes)
    text = json.dumps(settings.to_json())
    assert from_config(json.loads(text), METHODS) == settings
    found = dict(leaves(json.loads(text)))
    listed = {n: list(getattr(settings, n)) for n in ("methods", "grown")}
    assert found == {**FIELDS, **changes, **listed}


def test_settings_that_few_methods_read():
    """Every section is a field, so that a misspelt one would not be left out."""
    names = {field.name: 0 for field in dataclasses.fields(Settings)}
    own = {section for sections in SECTIONS.values() for section in sections}
    every = tuple(SECTIONS)
    assert without_other_methods(names, every) == names
    assert names.keys() - without_other_methods(names, ["full_data"]).keys() == own
    kept = without_other_methods(names, ["mothernets", "fge"])
    assert kept.keys() & own == {"mother", "hatch", "fge"}
    kept = without_other_methods(names, ["star", "swa"])  # as MotherNets, and another
    assert kept.keys() & own == {"mother", "hatch", "swa"}
