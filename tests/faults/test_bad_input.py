"""What a user can get wrong, and that each mistake ends in one message.

Each row is what is given, then what its message must contain: what was found, what was
expected or what to do. More rows, of their own parts, are in `test_settings`,
`test_architectures`, `test_image_folder`, `test_tfds` and `test_launch`.
"""

import errno
import functools
import json
import logging
import os
import sys
from io import StringIO
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from config import test_command_line, test_settings
from forked import launch_all
from ml_collections import config_flags
from PIL import Image
from rich.console import Console

import mothernets_jax as mn
from configs.vgg_ensemble import get_config
from mothernets_jax import data
from mothernets_jax.config.file_errors import explain
from mothernets_jax.data import decoding
from mothernets_jax.methods import read_settings
from mothernets_jax.models.variables import abstract_variables
from mothernets_jax.runs import experiment
from mothernets_jax.runs.failures import explained
from mothernets_jax.runtime import logs
from mothernets_jax.storage import checkpoints

ROOT = Path(__file__).parents[2]
SHAPE, CLASSES = (8, 8, 1), 3
LONGEST = 1_000  # characters of a message


@pytest.fixture(autouse=True)
def own_caches(tmp_path_factory, monkeypatch):
    """Digits are read once, and no cache of the user's is touched."""
    monkeypatch.setitem(data._LOADERS, "digits", READ_DIGITS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


READ_DIGITS = functools.cache(data._LOADERS["digits"])


def refusal(function):
    """The message that a mistake ends in; anything else fails the test."""
    with pytest.raises((ValueError, OSError)) as caught:
        function()
    message = str(caught.value)
    assert 10 < len(message) <= LONGEST, message
    assert len(message.splitlines()) == 1, message
    assert "[Errno" not in message, message  # a number is no help
    return message


def check(function, parts):
    message = refusal(function)
    assert [part for part in parts if part not in message] == [], message


def settings_of(networks=None, preset="digits", **changes):
    """The example's settings, changed: `train__epochs=3` changes `train.epochs`."""
    config = get_config(preset).to_dict()
    config["architectures"] = networks or {"A": "mlp 8", "B": "mlp 9 4"}
    for path, value in changes.items():
        *groups, name = path.split("__")
        group = config
        for key in groups:
            group = group[key]
        group[name] = value
    return read_settings(config)


def start(workdir, *args, plan=False, **changes):
    """What launch.py does with a config; returns what it shows."""
    settings, shown = settings_of(*args, **changes), StringIO()
    console = Console(file=shown)
    with explained(settings, workdir):
        if plan:
            experiment.show_plan(settings, console)
        else:
            experiment.train_and_evaluate(
                settings, name="", workdir=workdir, command="", console=console
            )
    return shown.getvalue()


def rows(given, table):
    """A test for each row of a table, called by the first part of its message."""
    of_rows = [pytest.param(what, parts, id=parts[0][:60]) for what, *parts in table]
    return pytest.mark.parametrize((given, "parts"), of_rows)


# Fields: the settings alone are refused.

FIELDS = [
    # Wrong types, in tuples and dictionaries too.
    ({"methods": (1, 2)}, "config.methods[0] is 1", "expected text"),
    ({"methods": ({},)}, "config.methods[0] is {}", "expected text"),
    ({"networks": {"A": ("mlp", 8)}}, "architectures.A is ('mlp', 8)", "expected text"),
    ({"networks": {"A": None}}, "config.architectures.A is None", "expected text"),
    ({"prices": {"cpu": "0.1"}}, "config.prices.cpu is '0.1'", "expected a number"),
    ({"se\ned": 1}, "no setting config.'se\\ned'", "did you mean config.seed?"),
    ({"x" * 5000: 1}, "no setting config.'xxx", "xxx ... xxx"),
    ({"lr": 1}, "no setting config.lr: did you mean config.train.learning_rate or"),
    # Numbers that nobody means.
    ({"seed": 10**5000}, "config.seed is a number of thousands of digits", "2**32"),
    ({"train__learning_rate": 10**400}, "learning_rate is 1000", "a smaller number"),
    ({"train__learning_rate": 1e300}, "learning_rate is 1e+300", "at most 1,000,000"),
    ({"hatch__noise": float("inf")}, "config.hatch.noise is inf", "at most 1,000,000"),
    ({"train__epochs": 10**12}, "train.epochs is 1000000000000", "at most 100,000"),
    ({"hatch__epochs": 10**6}, "config.hatch.epochs is 1000000", "at most 100,000"),
    ({"budget__epochs": 1e300}, "config.budget.epochs is 1e+300", "at most 100,000"),
    ({"train__batch_size": 10**12}, "train.batch_size is 1000", "at most 10,000,000"),
    ({"data__crop_padding": 10**12}, "data.crop_padding is 1000", "at most 16,384"),
    ({"data__image_size": 10**9}, "data.image_size is 1000000000", "at most 16,384"),
    ({"data__workers": 10**9}, "data.workers is 1000000000", "at most 1,024"),
    ({"data__test_fraction": 0}, "config.data.test_fraction is 0.0", "more than 0"),
    ({"data__test_fraction": 1.0}, "data.test_fraction is 1.0", "less than 1"),
    ({"data__train_examples": 0}, "data.train_examples is 0", "expected 1 or more"),
    ({"treenets__shared_blocks": 10**9}, "shared_blocks is 1000000000", "at most 1,0"),
    ({"prices": {"cpu": float("inf")}}, "config.prices.cpu is inf", "0 or more"),
    # Text that is none.
    ({"data__dir": "a\0b"}, r"config.data.dir is 'a\x00b'", "without the character 0"),
    ({"data__name": "x" * 9999}, "config.data.name is 'xxx", "a name or a path"),
    ({"budget__reference": "V99"}, "budget.reference is 'V99'", "one of A, B"),
    ({"networks": {"x" * 300: "mlp 8"}}, "has the name 'xxx", "at most 64"),
    ({"networks": {"a b": "mlp 8"}}, "has the name 'a b'", "letters, digits and '_'"),
    # Impossible networks.
    ({"networks": {"A": ""}}, "config.architectures.A", "expected one of 'mlp', 'vgg'"),
    ({"networks": {"A": "vgg (3:8) | "}}, "architectures.A: block 2 is empty", "give"),
    ({"networks": {"A": "vgg (3:0)"}}, "number of filters is 0", "from 1 to 1,000,000"),
    (
        {"networks": {"A": "vgg (3:1000000000000)"}},
        "'1000000000000'",
        "at most 1,000,000",
    ),
    ({"networks": {"A": "vgg (-3:8)"}}, "cannot read block '(-3:8)'", "'(3:64)x2"),
    ({"networks": {"A": "mlp " + "9" * 5000}}, "a number of 5,000 digits", "at most"),
    ({"networks": {"A": "mlp " + "8 " * 15_000}}, "has 30,004 characters", "20,000"),
    ({"networks": {"A": "mlp 8; dropout 1"}}, "cannot read 'dropout 1'", "batch_norm"),
    (
        {"networks": {"A": "vgg " + " | ".join(["(3:8)x250"] * 5)}},
        "config.architectures.A: the network has 1,250 layers",
        "expected at most 1,000",
    ),
    (
        {"networks": {"A": "resnet 8 (3:8); shortcuts identity projection"}},
        "there are 1 stages and 2 shortcuts",
        "expected one for each stage",
    ),
]


@rows("changes", FIELDS)
def test_a_bad_field(changes, parts):
    check(lambda: settings_of(**changes), parts)


# Runs: the settings are right by themselves, but not for these images, or together.

TOO_WIDE = {"A": "mlp 1000000 1000000"}
APART = {"A": "mlp 8", "B": "vgg (3:8)"}
RUNS = [
    (
        {"data__crop_padding": 9},
        "config.data.crop_padding is 9",
        "8 pixels",
        "expected at most 8",
    ),
    ({"data__fold": 7}, "config.data.fold=7, expected 0 to 4", "--config.data.fold=0"),
    (
        {"data__train_examples": 5},
        "config.data.train_examples=5, but",
        "Give 10 to 1293",
    ),
    ({"data__train_examples": 9999}, "train_examples=9999, but there are 1293"),
    ({"data__validation_fraction": 0.999}, "validation_fraction=0.999 leaves 1 of"),
    ({"data__name": "tfds:../../etc"}, "'../../etc'", "dataset_name"),
    ({"data__name": "tfds:"}, "unknown data set 'tfds:'", "tfds:NAME"),
    ({"data__ood_name": "digit"}, "config.data.ood_name is 'digit'", "mean 'digits'?"),
    (
        {"data__ood_name": "folder"},
        "config.data.ood_name is 'folder'",
        "no image fold",
        "--config.data.ood_dir=",
    ),
    ({"mother__cycles": 9999}, "mother.cycles is 9999: expected at most 300, the st"),
    ({"budget__epochs": 0.001}, "config.budget.epochs pays for", "raise it"),
    (
        {"networks": APART, "num_clusters": 1},
        "config.num_clusters=1 is too few",
        "A_1 and B_1",
    ),
    (
        {"methods": ("treenets",), "treenets__shared_blocks": 5},
        "config.treenets.shared_blocks is 5",
    ),
    (
        {"train__epochs": 100_000, "train__batch_size": 1},
        "would train for 100,000 epochs of 1,293 steps",
        "expected at most 100,000,000 steps",
        "raise config.train.batch_size",
    ),
    (
        {"networks": {"A": "mlp 8; batch_norm"}, "train__batch_size": 1},
        "config.train.batch_size is 1",
        "'dense1_norm' of mothernets-mothernet_1",
        "statistics of one value",
        "Raise it to 2 or more",
    ),
    (
        {"networks": TOO_WIDE, "methods": ("full_data",)},
        "full_data-A",
        "2 networks of 1,000,",
        "with momentum and a gradient",
        "Lower the networks' widths or config.replicas",
    ),
    (
        {"networks": {"A": "vgg (16383:1)"}, "methods": ("full_data",)},
        "block1_conv1 of full_data-A",
        "filters of 16383x16383 pixels, and the images have 8x8",
        "expected at most 15x15",
    ),
    (
        {"networks": {"A": "resnet 8 (17:8)"}, "methods": ("full_data",)},
        "filters of 17x17 pixels",
        "sees only the padding",
    ),
    (
        {
            "networks": {"A": "vgg " + "(1:1000000) (1:1) " * 20},
            "methods": ("full_data",),
            "train__batch_size": 1000,
        },
        "GiB of a batch of 1,000",
        "lower config.train.batch_size",
    ),
    (
        {"preset": "folder", "data__crop": "resized"},
        "config.data.crop='resized' needs a size",
        "--config.data.image_size=224",
    ),
]


@rows("changes", RUNS)
def test_a_run_that_cannot_be(changes, parts, tmp_path):
    networks = None
    if "treenets__shared_blocks" in changes:
        networks = {"A": "vgg (3:8) | (3:8) | (3:8) | (3:8) | (3:8)"}
    workdir = tmp_path / "run"
    check(lambda: start(workdir, **({"networks": networks} | changes)), parts)
    assert not workdir.exists()


# Images.


def write_images(root, train, test):
    """PNGs by class: numbers of pictures, of which equal ones are the same."""
    for split, classes in (("train", train), ("test", test)):
        for name, pictures in classes.items():
            (root / split / name).mkdir(parents=True)
            for place, number in enumerate(pictures):
                pixels = np.random.default_rng(number).integers(0, 256, (8, 8))
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(root / split / name / f"{place}.png")


MANY_PICTURES = {"ant": range(40), "bee": range(100, 140)}
FOLDERS = [
    (
        {"ant": range(40)},
        {"ant": range(50, 60)},
        "only one class, 'ant'",
        "expected at least two",
    ),
    (
        MANY_PICTURES,
        {"ant": range(4), "bee": range(100, 104)},
        "8 of 8 test images are training images, too",
        "give the test set images of its own",
    ),
    (
        MANY_PICTURES,
        {"ant": range(4), "bee": range(900, 904)},
        "4 of 8 test images are training images, too",
        "learned by heart",
    ),
]


@pytest.mark.parametrize(
    ("train", "test", "parts"), [(a, b, parts) for a, b, *parts in FOLDERS]
)
def test_bad_images(train, test, parts, tmp_path):
    write_images(tmp_path / "images", train, test)
    check(lambda: plan_folder(tmp_path), parts)


def plan_folder(tmp_path):
    return start(
        tmp_path / "run",
        preset="folder",
        plan=True,
        data__dir=str(tmp_path / "images"),
        data__validation_fraction=0.0,
        train__batch_size=8,
    )


def test_a_few_test_images_that_train_are_a_warning(tmp_path, caplog):
    test = {"ant": [0, *range(50, 59)], "bee": [100, *range(900, 909)]}
    write_images(tmp_path / "images", MANY_PICTURES, test)
    plan_folder(tmp_path)
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "2 of 20 test images are training images, too" in warning.getMessage()
    assert "the test error is too good" in warning.getMessage()


def test_the_plan_says_how_the_data_were_read(tmp_path):
    write_images(tmp_path / "images", MANY_PICTURES, {})
    (tmp_path / "images/labels.csv").write_text("0.png,ant")
    shown = plan_folder(tmp_path)
    assert (
        "data: There is no test/: the test set is 16 of the 80 images, 0.2 of " in shown
    )
    assert "data: Skipped in the folder: 1 outside the class folders (labels." in shown


def test_test_images_of_their_own_are_no_warning(tmp_path, caplog):
    """The control."""
    test = {"ant": range(50, 60), "bee": range(900, 910)}
    write_images(tmp_path / "images", MANY_PICTURES, test)
    plan_folder(tmp_path)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# The run's folder.


SHORT = {"train__epochs": 1, "hatch__epochs": 1, "hatch__warmup_epochs": 0.0}


def make_file(workdir):
    workdir.write_text("a file")


def truncated(name):
    def make(workdir):
        workdir.mkdir()
        text = json.dumps(settings_of(**SHORT).to_json())
        (workdir / "config.json").write_text(text)
        (workdir / name).write_text(text[:100])

    return make


def strategies(content):
    def make(workdir):
        workdir.mkdir()
        text = json.dumps(settings_of(**SHORT).to_json())
        (workdir / "config.json").write_text(text)
        (workdir / "strategies.json").write_text(json.dumps(content))

    return make


def of_a_large_seed(workdir):
    workdir.mkdir()
    content = settings_of(**SHORT).to_json() | {"seed": 10**4000}
    (workdir / "config.json").write_text(json.dumps(content))


def images(workdir):
    write_images(workdir, {"ant": range(2)}, {"ant": range(2)})


WORKDIRS = [
    ("run", images, "run is not the folder of a run: it holds test, train, and no"),
    ("run", make_file, "run is a file", "expected a folder"),
    ("run/below", lambda w: make_file(w.parent), "cannot be written", "run/below"),
    ("x" * 300, lambda w: None, "File name too long", "choose another place"),
    ("run", lambda w: w.symlink_to("run"), "many levels of symbolic", "choose another"),
    ("a\udcff", lambda w: None, "is not UTF-8", "choose another --workdir"),
    ("run", of_a_large_seed, "config.seed is 1000", " ... 000", "and 0 here"),
    ("run", truncated("config.json"), "config.json is damaged", "delete it"),
    ("run", truncated("strategies.json"), "strategies.json is damaged", "delete it"),
    ("run", strategies(["loop"]), "strategies.json is damaged", "delete it"),
    ("run", strategies({"a": {"strategy": "x"}}), "strategies.json is damaged"),
    ("run", strategies({"a": 3}), "strategies.json is damaged", "timed anew"),
]


@pytest.mark.parametrize(
    ("name", "make", "parts"), [(n, m, p) for n, m, *p in WORKDIRS]
)
def test_a_bad_workdir(name, make, parts, tmp_path):
    workdir = tmp_path / name
    make(workdir)
    check(lambda: start(workdir, **SHORT), parts)


# What may happen at any moment of a run. The errors are those of the libraries.


def full_disk(path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def full_disk_of_tensorstore():
    raise ValueError(
        'RESOURCE_EXHAUSTED: Error writing "A.params/0.0" in OCDBT database: Failed to '
        "write 455689 bytes to file 11: No space left on device [os_error_code='28']"
    )


def quota():
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def full_disk_behind_another_error():
    try:
        full_disk("stages/A")
    except OSError:
        raise ValueError("the stage cannot be saved\nfor some reason") from None


def no_device_memory():
    jnp.zeros(2**45, jnp.uint8).block_until_ready()


def no_gpu_memory():
    raise jax.errors.JaxRuntimeError(
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12.50GiB.\nMore"
    )


def no_machine_memory():
    np.zeros(2**50, np.uint8)


def read_only():
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/mnt/run/metrics.jsonl")


def image_of_another_size():
    decoding.check_one_size(np.zeros((4, 5, 3)), "b.png", (4, 4), "the first")


EVENTS = [
    (lambda: full_disk("/runs/a/x"), "the disk is full: /runs/a/x", "same command con"),
    (
        full_disk_of_tensorstore,
        "the disk is full: /runs/a",
        "saved before in /runs/a s",
    ),
    (quota, "the disk is full: /runs/a could not be written", "free some space there"),
    (full_disk_behind_another_error, "the disk is full: stages/A", "stays"),
    (no_device_memory, "not enough memory", "32,768 GiB", "batch_size (now 128)"),
    (no_gpu_memory, "12 GiB more", "replicas (now 2)", "strategy='loop'"),
    (no_machine_memory, "not enough memory", "Lower config.train.batch_size"),
    (read_only, "/mnt/run/metrics.jsonl cannot be used (Read-only file system)"),
    (image_of_another_size, "b.png is 4x5", "e.g. --config.data.image_size=32."),
]


@rows("event", EVENTS)
def test_an_event_is_explained(event, parts):
    def run():
        with explained(settings_of(), Path("/runs/a")):
            event()

    check(run, parts)


def test_libraries_print_no_tracebacks():
    """Each is raised as well, and then explained; `--debug` shows it."""
    error = (ValueError, ValueError("no space"), None)
    for logger, exc_info, told in [
        ("absl", error, False),
        ("absl", None, True),
        ("mothernets_jax.stages.stage.strategy", error, True),
    ]:
        record = logging.LogRecord(logger, 40, "", 0, "text", (), exc_info)
        assert logs.is_news(record) is told


def test_what_is_our_defect_is_not_explained_away():
    """The control: such an error keeps its traceback."""
    for error in (KeyError("a"), TypeError("b"), RuntimeError("c"), AssertionError()):
        with pytest.raises(type(error)), explained(settings_of(), Path("/runs/a")):
            raise error


def test_a_disk_that_fills_up_in_a_run(tmp_path, monkeypatch):
    """What was saved stays, and the same command continues."""
    saved = checkpoints.save
    calls = []

    def save(folder, *args):
        calls.append(folder)
        if len(calls) == 2:
            full_disk(str(folder))
        saved(folder, *args)

    changes = {
        "methods": ("full_data",),
        "replicas": 1,
        "train__epochs": 1,
        "data__train_examples": 200,
    }
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save)
        message = refusal(lambda: start(tmp_path / "run", **changes))
    assert f"the disk is full: {calls[1]} could not be written" in message
    record = calls[0] / "record.json"
    before = record.stat().st_mtime_ns
    start(tmp_path / "run", **changes)
    assert record.stat().st_mtime_ns == before
    assert (tmp_path / "run" / "results.json").exists()


# Python.

MLP, WIDER, CONV = mn.mlp((8,)), mn.mlp((16, 8)), mn.vgg("(3:8)")
DEEPER = mn.vgg("(3:8)x2")
KEY = jax.random.key(0)
IMAGES = np.zeros((4, *SHAPE), np.float32)
PIXELS = IMAGES.astype(np.uint8)
LOGITS = np.zeros((1, 4, CLASSES), np.float32)


def variables(architecture):
    shapes = abstract_variables(architecture, SHAPE, CLASSES)
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)


def cluster(architectures=None, **changes):
    arguments = {"input_shape": SHAPE, "num_classes": CLASSES} | changes
    return mn.cluster(architectures or {"a": MLP, "b": WIDER}, **arguments)


def init(architecture=MLP, key=KEY, shape=SHAPE, classes=CLASSES):
    return mn.init(architecture, key, shape, classes)


def grow(of=CONV, mother=CONV, member=DEEPER, key=KEY, **options):
    return mn.hatch(variables(of), mother, member, key, **options)


def ensemble(**changes):
    arguments = {
        "members": {"a": mn.Member(MLP, variables(MLP))},
        "mean": np.zeros(1),
        "std": np.ones(1),
        "class_names": ("x", "y", "z"),
        "input_shape": SHAPE,
    } | changes
    return mn.Ensemble(arguments.pop("members"), **arguments)


def predict(images=PIXELS, **options):
    return ensemble().predict(images, **options)


def logits(**options):
    return ensemble().member_logits(PIXELS, **options)


def train(architecture, images, of=MLP):
    return mn.apply_train(architecture, variables(of), images)


def fit(logits=LOGITS, labels=(0, 1, 2, 0)):
    return ensemble().calibrate(logits, np.asarray(labels))


WITH_HOLES = np.full_like(IMAGES, np.nan)
OF_ONE = "expected one random key"
WHOLE = "expected a whole number from 1"
RAW = "not normalised: expected floats, (pixels - mean) / std"
FIRST = "has the channels first: expected ("
CHANNELS_FIRST = IMAGES.transpose(0, 3, 1, 2)
CALLS = [
    # Networks.
    (lambda: mn.vgg([[(3, 8.5)]]), "number of filters is 8.5", WHOLE),
    (lambda: mn.vgg(b"(3:8)"), "is no list of layers such as [(3, 64)]"),
    (lambda: mn.parse("vgg (2:8)"), "filter size 2 is even", "must be odd"),
    (lambda: mn.parse("x" * 9999), "architecture 'xxx", "expected one of 'mlp'"),
    (lambda: mn.presets.v5(width=1e12), "width is 1000000000000.0", "up to 1,000,000"),
    (lambda: mn.presets.resnet_of_depth(10**4000), "depth is 1000", "18, 34, 50"),
    (lambda: mn.presets.v5(width=1e4), "number of filters is 1280000", "1,000,000"),
    (lambda: mn.num_params("mlp 8", SHAPE, 3), "'mlp 8'", "expected an architecture"),
    (lambda: mn.num_params(MLP, (8, 8), 3), "input_shape is (8, 8)", "channels)"),
    (lambda: mn.train_flops(MLP, (8, -8, 1), 3), "input_shape is (8, -8, 1)"),
    (lambda: mn.train_flops(MLP, SHAPE, 2.5), "num_classes is 2.5", WHOLE),
    (lambda: mn.num_params(MLP, (3, 8, 8), 3), "input_shape is (3, 8, 8)", FIRST),
    (lambda: mn.train_flops(MLP, [1, 28, 28], 3), "is [1, 28, 28]", FIRST, "(28, 28, "),
    # MotherNets and clusters.
    (lambda: mn.mothernet(None), "found None", "expected several architectures"),
    (lambda: mn.mothernet("mlp 8"), "found 'mlp 8'", "expected several architectures"),
    (lambda: mn.mothernet([MLP, "mlp 9"]), "is 'mlp 9'", "expected an architecture"),
    (lambda: mn.mothernet([MLP, CONV]), "no MotherNet connects", "different clusters"),
    (lambda: cluster([MLP, WIDER]), "architectures are [", "expected them by name"),
    (lambda: cluster({"a": "mlp 8"}), "the architecture a is 'mlp 8'", "expected an"),
    (lambda: cluster(num_clusters=3), "num_clusters is 3", "expected 1 to 2"),
    (lambda: cluster(num_clusters=1.5), "num_clusters is 1.5", "expected 1 to 2"),
    (lambda: cluster(num_clusters="2"), "num_clusters is '2'", "expected 1 to 2"),
    (lambda: cluster(num_clusters=True), "num_clusters is True", "expected 1 to 2"),
    (lambda: cluster(min_shared="x"), "min_shared is 'x'", "a share from 0 to 1"),
    (lambda: cluster(input_shape=(0, 8, 1)), "input_shape is (0, 8, 1)", "from 1 on"),
    (lambda: cluster(input_shape=(4, 8, 8)), "input_shape is (4, 8, 8)", FIRST),
    (lambda: cluster(input_shape=5), "input_shape is 5", "(height, width, channels)"),
    (lambda: cluster(num_classes=0), "num_classes is 0", WHOLE),
    # Variables.
    (lambda: init("mlp 8"), "the architecture is 'mlp 8'", "expected an architecture"),
    (lambda: init(key=0), "key is 0", OF_ONE),
    (lambda: init(key=jax.random.split(KEY)), "key is Array", OF_ONE),
    (lambda: init(shape=(8, 8, 0)), "input_shape is (8, 8, 0)", "from 1 on"),
    (
        lambda: init(shape=(3, 32, 32)),
        "is (3, 32, 32)",
        FIRST,
        "one image, (32, 32, 3)",
    ),
    (lambda: init(classes=0), "num_classes is 0", WHOLE),
    (lambda: init(classes=-1), "num_classes is -1", WHOLE),
    (lambda: mn.apply(MLP, variables(MLP), IMAGES[0]), "of shape (8, 8, 1)", "(batch,"),
    (lambda: mn.apply(MLP, variables(MLP), IMAGES[:0]), "none of them 0"),
    (lambda: mn.apply(MLP, variables(MLP), "x"), "images are 'x'", "(batch, height"),
    (lambda: mn.apply(MLP, variables(MLP), IMAGES[:, 1:]), "dense1", "(7, 8, 1)"),
    (lambda: mn.apply(MLP, {}, IMAGES), "variables are []", "'batch_stats': ..."),
    (lambda: mn.apply(MLP, None, IMAGES), "variables are None", "as mn.init makes"),
    (lambda: mn.apply(MLP, variables(CONV), IMAGES), "not those of 'mlp 8'", "layer"),
    (lambda: mn.apply(mn.mlp((9,)), variables(MLP), IMAGES), "8 wide", "expected 9"),
    (lambda: mn.apply(MLP, variables(MLP), PIXELS), "images are uint8", RAW),
    (lambda: mn.apply(MLP, variables(MLP), PIXELS > 0), "images are bool", RAW),
    (lambda: mn.apply(MLP, variables(MLP), jnp.asarray(PIXELS)), "uint8", RAW),
    (lambda: mn.apply(MLP, variables(MLP), CHANNELS_FIRST), "(4, 1, 8, 8)", FIRST),
    (lambda: train(MLP, IMAGES[0]), "of shape (8, 8, 1)", "expected (batch,"),
    (lambda: train(MLP, PIXELS), "images are uint8", RAW),
    (
        lambda: train(MLP, CHANNELS_FIRST),
        "(4, 1, 8, 8)",
        FIRST,
        "transpose(0, 2, 3, 1)",
    ),
    (lambda: train(MLP, IMAGES[:, 1:]), "dense1", "(7, 8, 1)"),
    (lambda: train("mlp 8", IMAGES), "the architecture is 'mlp 8'", "expected an arch"),
    (lambda: train(MLP, IMAGES, of=CONV), "not those of 'mlp 8'", "as mn.init makes"),
    (
        lambda: mn.apply_train(CONV, {"params": variables(CONV)["params"]}, IMAGES),
        "lack the running statistics of 'block1_conv1_norm'",
        "those of mn.init or mn.hatch",
    ),
    # Hatching.
    (lambda: grow(of=MLP), "not those of 'vgg (3:8); batch_norm'", "as mn.init makes"),
    (lambda: grow(member=MLP), "cannot be hatched from", "of the family vgg"),
    (lambda: grow(member="vgg (3:8)"), "the member is 'vgg (3:8)'", "an architecture"),
    (lambda: grow(key=0), "key is 0", OF_ONE),
    (lambda: grow(noise=-1.0), "noise is -1.0", "expected 0 or more"),
    (lambda: grow(noise=float("nan")), "noise is nan", "expected 0 or more"),
    (lambda: grow(split="half"), "split is 'half'", "'random' or 'equal'"),
    (lambda: grow(images=WITH_HOLES), "no finite numbers", "expected normalised"),
    (lambda: grow(images=PIXELS), "images are uint8", RAW),
    (lambda: grow(images=CHANNELS_FIRST), "(4, 1, 8, 8)", FIRST),
    (lambda: grow(images=IMAGES[:0]), "of shape (0, 8, 8, 1)", "none of them 0"),
    (
        lambda: grow(images=np.zeros((4, 8, 8, 3))),
        "(8, 8, 3)",
        "that mn.init was given",
    ),
    # Ensembles.
    (lambda: ensemble(members={}), "at least one member", "found none"),
    (lambda: ensemble(std=np.zeros(1)), "std is [0.0]", "above 0"),
    (lambda: ensemble(mean=np.full(1, np.nan)), "mean is [nan]", "finite numbers"),
    (lambda: ensemble(mean=np.zeros(3)), "mean is [0.0, 0.0, 0.0]", "one a channel"),
    (
        lambda: predict(WITH_HOLES),
        "float32",
        "some of them no finite",
        "expected uint8",
    ),
    (lambda: predict([[1, 2], [3]]), "images are object", "expected uint8 of shape"),
    (lambda: predict(batch_size=0), "batch_size is 0", "from 1 to 1,000,000"),
    (lambda: predict(batch_size=2.5), "batch_size is 2.5", WHOLE),
    (lambda: predict(batch_size=10**12), "batch_size is 1000000000000", "1,000,000"),
    (lambda: logits(smallest_batch=0), "smallest_batch is 0", "from 1 to batch_size"),
    (lambda: logits(batch_size=8, smallest_batch=9), "smallest_batch is 9", "is 8"),
    (lambda: predict(combine="avrage"), "combine is 'avrage'", "one of average, vote"),
    (lambda: fit(labels=(0, 1, 2, 9)), "labels are int64 from 0 to 9", "from 0 to 2"),
    (lambda: fit(labels=(0.0, 1.0, 2.0, 1.0)), "labels are float64", "whole numbers"),
    (lambda: fit(labels=(0, 1)), "labels of shape (2,)", "one label an example"),
    (lambda: fit(logits=LOGITS * np.nan), "no finite numbers", "Leave it out"),
    (lambda: fit(LOGITS[:, :0], ()), "of shape (1, 0, 3)", "expected floats"),
    (lambda: mn.Ensemble.load(123), "path is 123", "a path, as text"),  # type: ignore[arg-type]
]


@rows("call", CALLS)
def test_a_bad_call(call, parts):
    check(call, parts)


# Config files.


def loading(text, argument=""):
    """What launch.py does with a config file of this text."""

    def load(path):
        path.write_text(text)
        sys.modules.pop("config_config", None)  # what was loaded before goes on there
        holder = flags.FlagValues()
        config = config_flags.DEFINE_config_file("config", flag_values=holder)
        try:
            holder(["launch.py", f"--config={path}{argument}"])
            config.value.to_dict()
        except Exception as error:
            raise ValueError(explain(error)) from error

    return load


CONFIG_FILES = [
    (loading("def get_config(): return 3"), "returns an int", "expected a ConfigDict"),
    (loading("def get_config(): return {}"), "returns a dict", "expected a ConfigDict"),
    (loading("x = 1"), "has no get_config", "start from configs/vgg_ensemble.py"),
    (loading("def get_config(:"), "is no Python: invalid syntax", "c.py, line 1"),
    (loading("import nonesuch"), "No module named 'nonesuch'"),
    (loading("def get_config(): pass", ":small"), "no presets", "leave out the ':'"),
]


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # theirs
@rows("load", CONFIG_FILES)
def test_a_bad_config_file(load, parts, tmp_path):
    check(lambda: load(tmp_path / "c.py"), parts)


# The command line: a process for each.

CONFIG = "--config=configs/vgg_ensemble.py:digits"
COMMANDS = [
    ([CONFIG, "--config.methods=(1,2)"], "config.methods[0] is 1"),
    ([CONFIG, "--config.train.epochs=1.5"], "--config.train.epochs=1.5"),
    ([CONFIG, "--workdir=README.md/run"], "README.md/run cannot be written"),
]


@pytest.fixture(scope="module")
def answers():
    shown = [*COMMANDS[0][0], "--debug"]
    return launch_all([*(given for given, _ in COMMANDS), shown])


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=lambda i: COMMANDS[i][1])
def test_a_bad_command(answers, number):
    done, message = answers[number], COMMANDS[number][1]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    assert message in line


def test_debug_shows_the_traceback(answers):
    done = answers[-1]
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: config.methods[0] is 1")


def test_there_are_rows_enough():
    """Those of settings and commands are in the tests of `config`."""
    tables = FIELDS, RUNS, FOLDERS, WORKDIRS, EVENTS, CALLS, CONFIG_FILES, COMMANDS
    others = test_settings.BAD, test_command_line.UNKNOWN, test_command_line.COMMANDS
    assert sum(map(len, (*tables, *others))) >= 300
