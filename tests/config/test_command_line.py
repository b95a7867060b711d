"""Commands as they are typed: what is meant by settings that there are not."""

import os
import sys
from pathlib import Path

import pytest
from absl import flags

from mothernets_jax.config import command_line
from mothernets_jax.config.file_errors import explain
from mothernets_jax.config.unknown import PATHS, no_setting
from mothernets_jax.methods import read_settings

ROOT = Path(__file__).parents[2]
CONFIG = "--config=configs/vgg_ensemble.py"
TUPLE = "--config.methods=\"('mothernets', 'full_data')\""
NAME = "there is no config file"

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


def config_of(*arguments):
    """What launch.py makes of a command: its config."""
    values = flags.FlagValues()
    flags.DEFINE_bool("plan", False, "", flag_values=values)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    sys.modules.pop("config_config", None)  # what was loaded before goes on there
    command_line.parse(["launch.py", *arguments], values)
    return values.config


def refusal(*arguments):
    """The one line that a command ends in."""
    with pytest.raises(Exception) as caught:
        read_settings(config_of(*arguments))
    message = explain(caught.value)
    assert len(message.splitlines()) == 1
    assert 10 < len(message) < 1_000
    return message


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    """Commands are given where the README says."""
    monkeypatch.chdir(ROOT)


# A setting after `config.`, then what the answer must contain.
UNKNOWN = [
    ("train.lr", "no setting config.train.lr: did you mean config.train.learning_rate"),
    ("lr", "did you mean config.train.learning_rate or config.hatch.learning_rate?"),
    ("epochs", "did you mean config.train.epochs or config.hatch.epochs?"),
    ("hatch.lr", "did you mean config.hatch.learning_rate?"),
    ("snapshot.lr", "did you mean config.snapshot.learning_rate?"),
    ("bs", "did you mean config.train.batch_size?"),
    ("train.bs", "did you mean config.train.batch_size?"),
    ("hatch.batch_size", "did you mean config.train.batch_size?"),
    ("wd", "did you mean config.train.weight_decay?"),
    ("optimizer", "did you mean config.train.optimizer?"),
    ("optim", "did you mean config.train.optimizer?"),
    ("optimiser", "did you mean config.train.optimizer?"),
    ("n_epochs", "did you mean config.train.epochs or config.hatch.epochs?"),
    ("num-epochs", "did you mean config.train.epochs or config.hatch.epochs?"),
    ("train.n_epochs", "did you mean config.train.epochs?"),
    ("scheduler", "did you mean config.train.schedule or config.hatch.schedule?"),
    ("warmup", "did you mean config.train.warmup_epochs or config.hatch.warmup_"),
    ("label_smoothing", "did you mean config.train.label_smoothing?"),
    ("patience", "did you mean config.train.patience_epochs?"),
    ("early_stopping", "did you mean config.train.stop?"),
    ("train.ema", "did you mean config.train.average?"),
    ("random_state", "did you mean config.seed?"),
    ("train.seed", "did you mean config.seed?"),
    ("num_workers", "did you mean config.data.workers?"),
    ("dataset", "did you mean config.data.name?"),
    ("data_dir", "did you mean config.data.dir?"),
    ("dir", "did you mean config.data.dir?"),
    ("img_size", "did you mean config.data.image_size?"),
    ("noise", "did you mean config.hatch.noise?"),
    ("n_members", "did you mean config.replicas?"),
    ("n_clusters", "did you mean config.num_clusters?"),
    ("dtype", "did you mean config.precision?"),
    ("method", "did you mean config.methods?"),
    ("network", "did you mean config.architectures?"),
    ("seeed", "did you mean config.seed?"),
    ("train.epoch", "did you mean config.train.epochs?"),
    ("trian.epochs", "did you mean config.train.epochs?"),
    ("Train.Epochs", "did you mean config.train.epochs?"),
    ("train.learningrate", "did you mean config.train.learning_rate?"),
    ("hatch.nois", "did you mean config.hatch.noise?"),
    ("methods[0]", "no setting config.methods[0]: did you mean config.methods?"),
    ("train.momentum", "SGD's is always 0.9", "config.hatch.momentum"),
    ("dropout", "networks have none", "config.train.weight_decay"),
    ("workdir", "--workdir=FOLDER"),
    ("plan", "--plan"),
    ("gpus", "all devices are used", "CUDA_VISIBLE_DEVICES"),
    ("resume", "the same command again"),
    ("loss", "the cross-entropy"),
    ("snapshot.xyz", "config.snapshot has cycle_epochs, learning_rate, average"),
    ("train.", "config.train has epochs, batch_size"),
    ("seed.x", "config.seed is one setting"),
    ("xyzzy", "docs/reference/settings.md lists them all"),
    ("", "no setting config.", "settings.md"),
    ("a.b.c", "no setting config.a.b.c", "settings.md"),
    ("x" * 2_000, "xxx ... xxx", "settings.md"),
    ("ä\n", "settings.md"),
]


@pytest.mark.parametrize(
    ("setting", "parts"), [(s, p) for s, *p in UNKNOWN], ids=lambda s: str(s)[:40]
)
def test_what_is_meant_by_a_setting_that_there_is_not(setting, parts):
    message = refusal(CONFIG, f"--config.{setting}=3")
    assert message.startswith("no setting config.")
    assert [part for part in parts if part not in message] == []


def test_every_setting_in_an_answer_is_one():
    for setting, *_ in UNKNOWN:
        _, _, answer = no_setting(setting).partition("did you mean ")
        for name in answer.removesuffix("?").split(" or ") if answer else []:
            assert name.removeprefix("config.") in PATHS


def test_every_setting_can_be_given():
    """The control: none of those that there are is refused as unknown."""
    config = config_of(CONFIG)
    for path in PATHS:
        holder = config
        *groups, name = path.split(".")
        for group in groups:
            holder = holder[group]
        assert name in holder, path


# Commands with what their message must contain.
COMMANDS = [
    ([], "--config is missing", "configs/vgg_ensemble.py"),
    (["--config.seed=3"], "--config is missing"),
    ([CONFIG, "config.seed=3"], "stray argument 'config.seed=3'"),
    ([CONFIG, "seed=3"], "stray argument"),
    ([CONFIG, "--seed=3"], "Unknown command line flag 'seed'"),
    ([CONFIG, "--plann"], "plan"),
    ([CONFIG, "--plan=perhaps"], "--plan=perhaps"),
    ([CONFIG, "--workdir"], "workdir"),
    ([CONFIG, "--config.seed=x"], "--config.seed=x"),
    ([CONFIG, "--config.seed=1.5"], "--config.seed=1.5"),
    ([CONFIG, "--config.seed="], "--config.seed="),
    ([CONFIG, "--config.seed=-1"], "config.seed is -1", "0 or more"),
    ([CONFIG, "--config.train.epochs=1e9"], "--config.train.epochs=1e9"),
    ([CONFIG, "--config.train.learning_rate=high"], "learning_rate=high"),
    ([CONFIG, "--config.train.learning_rate=nan"], "learning_rate is nan"),
    ([CONFIG, "--config.hatch.bags=perhaps"], "--config.hatch.bags=perhaps"),
    ([CONFIG, "--config.data.train_examples=few"], "train_examples=few"),
    ([CONFIG, "--config.seed", "--plan"], "--config.seed"),
    (["--config.seed=3", CONFIG], "--config.seed=3", "before"),
    ([f"{CONFIG}:digit"], "there is no preset 'digit'"),
    # Which config.
    (["--config=vgg_ensemble"], NAME, "mean configs/vgg_ensemble.py?", "pareto.py"),
    (["--config=vgg_ensemble.py"], "did you mean configs/vgg_ensemble.py?"),
    (["--config=configs/vgg_ensembel.py"], "did you mean configs/vgg_ensemble.py?"),
    (["--config=configs/none.py"], f"{NAME} configs/none.py", "configs/pareto.py"),
    (["--config=vgg_ensemble:cifar10"], f"{NAME} vgg_ensemble "),
    (["--config="], NAME, "configs/vgg_ensemble.py"),
    (["--config=configs"], "config file configs is no plain file"),
    (["--config=/dev/zero"], "/dev/zero is no plain file"),
    (["--config=README.md"], "the config file is no Python"),
    # Tuples.
    (
        [CONFIG, "--config.methods=mothernets,full_data"],
        TUPLE,
    ),
    (
        [CONFIG, "--config.methods=(mothernets, full_data)"],
        TUPLE,
    ),
    (
        [CONFIG, "--config.methods=mothernets full_data"],
        TUPLE,
    ),
    ([CONFIG, "--config.methods=mothernet"], "did you mean 'mothernets'?"),
    ([CONFIG, "--config.methods=('mothernets',"], "expected a tuple such as"),
    ([CONFIG, "--config.methods=()"], "config.methods is empty"),
    ([CONFIG, "--config.methods=('a', 'b')"], "config.methods[0] is 'a'"),
    # Networks and prices.
    ([CONFIG, "--config.architectures.MINE=vgg"], "config.architectures.MINE"),
    ([CONFIG, "--config.architectures.2x=mlp 8"], "the name 2x", "no digit first"),
    ([CONFIG, "--config.architectures.for=mlp 8"], "the name for", "at once"),
    ([CONFIG, "--config.architectures.items=mlp 8"], "the name items", "at once"),
    ([CONFIG, "--config.architectures.=mlp 8"], "the name ''", "letters"),
    ([CONFIG, "--config.architectures.a.b=mlp 8"], "no setting config.archit"),
    ([CONFIG, "--config.architectures=mlp 8"], "config.architectures.NAME='mlp 8'"),
    ([CONFIG, "--config.architectures={}"], "config.architectures is empty"),
    ([CONFIG, "--config.architectures={'A': 3}"], "architectures.A is 3", "text"),
    ([CONFIG, "--config.prices.T4=cheap"], "--config.prices.T4=cheap"),
    ([CONFIG, "--config.prices.T4=-1"], "config.prices.T4 is -1", "0 or more"),
    ([CONFIG, "--config.prices.A100-40GB=1"], "the name A100-40GB", "at once"),
    ([CONFIG, "--config.prices=cheap"], "--config.prices.NAME=0.35"),
    ([CONFIG, "--config.train={'epochs': 3}"], "config.train is a group of settings"),
    ([CONFIG, "--config.train=3"], "set by itself: --config.train."),
    # Files of flags.
    ([CONFIG, "--flagfile=/no/such"], "--flagfile /no/such cannot be read"),
    ([CONFIG, "--flagfile", "/no/such"], "--flagfile /no/such cannot be read"),
    ([CONFIG, "-flagfile=/no/such"], "--flagfile /no/such cannot be read"),
    ([CONFIG, "--flagfile=."], "--flagfile . is no plain file"),
    ([CONFIG, "--flagfile=/dev/zero"], "/dev/zero is no plain file"),
    ([CONFIG, "--flagfile=launch.py"], "stray argument"),
    ([CONFIG, "--flagfile"], "flagfile"),
    # Bytes that are no UTF-8.
    ([CONFIG, "--workdir=a\udcff"], "is not UTF-8", "rename"),
    ([CONFIG, "--config.data.dir=a\udcff"], "is not UTF-8", "rename"),
    (["--config=\udcff.py"], "is not UTF-8", "rename"),
]


@pytest.mark.parametrize(
    ("arguments", "parts"), [(a, p) for a, *p in COMMANDS], ids=lambda a: str(a)[-60:]
)
def test_a_bad_command(arguments, parts):
    message = refusal(*arguments)
    assert [part for part in parts if part not in message] == [], message


def test_networks_and_prices_of_new_names():
    settings = read_settings(
        config_of(
            CONFIG,
            "--config.architectures.MINE=vgg (3:8) | (3:8)",
            "--config.prices.T4=0.35",
            "--config.seed=7",
        )
    )
    before = read_settings(config_of(CONFIG))
    assert settings.architectures == {
        **before.architectures,
        "MINE": "vgg (3:8) | (3:8)",
    }
    assert settings.prices == {**before.prices, "T4": 0.35}
    assert settings.seed == 7


def test_networks_and_prices_are_replaced_together():
    settings = read_settings(
        config_of(
            CONFIG,
            "--config.architectures={'A': 'mlp 8', 'B': 'mlp 9'}",
            "--config.prices={'A100-40GB': 1.1}",
        )
    )
    assert settings.architectures == {"A": "mlp 8", "B": "mlp 9"}
    assert settings.prices == {"A100-40GB": 1.1}


def test_one_network_of_a_config_is_changed():
    name = next(iter(read_settings(config_of(CONFIG)).architectures))
    given = config_of(CONFIG, f"--config.architectures.{name}=vgg (3:9)")
    assert read_settings(given).architectures[name] == "vgg (3:9)"


def test_a_config_without_all_settings(tmp_path):
    (tmp_path / "own.py").write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config(): return ConfigDict({'architectures': {'A': 'mlp 8'}})\n"
    )
    config = f"--config={tmp_path / 'own.py'}"
    assert read_settings(config_of(config)).architectures == {"A": "mlp 8"}
    message = refusal(config, "--config.train.epochs=3")
    assert "config.train.epochs is not in the config file" in message
    assert "default_config()" in message


@pytest.mark.parametrize("what", ["--config", "--flagfile"])
@pytest.mark.parametrize("kind", ["pipe", "loop", "dead link", "binary"])
def test_only_plain_files_are_read(what, kind, tmp_path):
    path = tmp_path / "given"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\0")
    else:
        path.symlink_to("given" if kind == "loop" else "nowhere")
    command = [CONFIG] if what == "--flagfile" else []
    message = refusal(*command, f"{what}={path}")
    assert str(path) in message or kind == "binary"


def test_files_of_flags_that_name_one_another(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"# a remark\n--config.seed=3\n--flagfile={two}\n")
    two.write_text("--config.train.epochs=4\n")
    config = config_of(CONFIG, f"--flagfile={one}")
    assert (config.seed, config.train.epochs) == (3, 4)
    two.write_text(f"--flagfile={one}\n")
    assert "names itself" in refusal(CONFIG, f"--flagfile={one}")
    os.remove(two)
    os.mkfifo(two)
    assert "two is no plain file" in refusal(CONFIG, f"--flagfile={one}")
