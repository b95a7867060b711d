"""Every config and each of its presets: valid, lockable, and open to overrides."""

import ast
import importlib
import json
import re
import types
import typing
from pathlib import Path

import pytest

from mothernets_jax import presets
from mothernets_jax.architectures import parse
from mothernets_jax.config.identity import digest
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods import read_settings

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path.stem for path in ROOT.glob("configs/*.py"))


def presets_of(name):
    """The presets that a config's module says it has."""
    module = importlib.import_module(f"configs.{name}")
    return tuple(getattr(module, "PRESETS", None) or module.WIDTHS)


def load(name, preset=None):
    arguments = () if preset is None else (preset,)
    return importlib.import_module(f"configs.{name}").get_config(*arguments)


def freeze(config):
    return read_settings(config)


CASES = [(name, preset) for name in CONFIGS for preset in presets_of(name)]


def fields(config, prefix=""):
    """Each field that is no group, as `train.epochs`: its value and its type."""
    for name in config:
        if config.get_type(name) is type(config):
            yield from fields(config[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", (config[name], config.get_type(name))


def hint(path):
    """The type that the settings want for a field, without `None`."""
    kind = Settings
    for name in path.split("."):
        kind = typing.get_type_hints(kind)[name]
    if typing.get_origin(kind) is types.UnionType:
        kind = typing.get_args(kind)[0]
    return typing.get_origin(kind) or kind


def test_there_are_configs():
    assert "vgg_ensemble" in CONFIGS
    expected = {"digits", "folder", "folder_thin", "cifar10", "cifar100", "svhn"}
    assert expected <= set(presets_of("vgg_ensemble"))


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_preset_is_valid(name, preset):
    settings = freeze(load(name, preset).lock())
    assert settings.members
    assert digest(freeze(load(name, preset))) == digest(settings)


@pytest.mark.parametrize("name", CONFIGS)
def test_presets_differ(name):
    digests = [digest(freeze(load(name, preset))) for preset in presets_of(name)]
    assert len(set(digests)) == len(digests)
    assert digest(freeze(load(name))) in digests


@pytest.mark.parametrize("name", CONFIGS)
def test_an_unknown_preset_is_refused_by_name(name):
    with pytest.raises(ValueError, match=r"no preset 'nope'.*one of") as caught:
        load(name, "nope")
    assert all(preset in str(caught.value) for preset in presets_of(name))


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_field_can_be_overridden(name, preset):
    config = load(name, preset).lock()
    for path, (value, kind) in fields(config):
        if not path.startswith(("architectures.", "prices.")):
            # A float written 1 could not become 0.5, and a plain None nothing at all.
            assert kind is hint(path), path
            new = {int: 3, float: 0.5, bool: not value, tuple: ("full_data",)}
            config.update_from_flattened_dict({path: new.get(kind, "text")})
    saved = json.loads(config.to_json())
    changed = {path: value for path, (value, _) in fields(config)}
    assert None not in changed.values()
    assert saved["train"]["learning_rate"] == 0.5
    assert changed["num_clusters"] == 3
    with pytest.raises((AttributeError, KeyError)):
        config.update_from_flattened_dict({"train.epoch": 3})


@pytest.mark.parametrize("name", CONFIGS)
def test_the_commands_of_its_docstring_can_be_given(name):
    source = (ROOT / "configs" / f"{name}.py").read_text(encoding="utf-8")
    commands = re.findall("python launch.py .*", ast.get_docstring(ast.parse(source)))
    assert commands
    for command in commands:
        file, preset = re.search(r"--config=([\w/.]+)(?::(\w+))?", command).groups()
        assert file == f"configs/{name}.py"
        assert preset is None or preset in presets_of(name)
        known = dict(fields(load(name, preset)))
        for path in re.findall(r"--config\.([\w.]+)=", command):
            assert path in known, command


@pytest.mark.parametrize(
    ("preset", "width", "filters"),
    [
        ("digits", 1 / 8, (16, 32, 64)),
        ("folder", 1, (128, 256, 512)),
        ("cifar10", 1, (128, 256, 512)),
        ("cifar100", 1, (128, 256, 512)),
        ("svhn", 1, (128, 256, 512)),
        ("folder_thin", 1 / 4, (32, 64, 128)),
    ],
)
def test_vgg_ensemble_is_v5_at_the_width_of_its_preset(preset, width, filters):
    settings = freeze(load("vgg_ensemble", preset))
    found = {name: parse(text) for name, text in settings.architectures.items()}
    assert found == presets.v5(width=width)
    a, b, c = filters
    v16a = f"(3:{a})x2 | (3:{a})x2 | (3:{a})x2 (1:{b}) | (3:{c})x2 (1:{c})"
    assert found["V16A"] == parse(f"vgg {v16a} | (3:{b})x2 (1:{c}); batch_norm")
    assert settings.replicas == (2 if preset == "digits" else 1)
    assert settings.methods == ("mothernets", "full_data")


@pytest.mark.parametrize(
    ("preset", "name", "mirrors"),
    [
        ("digits", "digits", False),
        ("folder", "folder", True),
        ("folder_thin", "folder", True),
        ("cifar10", "cifar10", True),
        ("cifar100", "cifar100", True),
        ("svhn", "svhn", False),
    ],
)
def test_vgg_ensemble_mirrors_no_digits(preset, name, mirrors):
    settings = freeze(load("vgg_ensemble", preset))
    assert settings.data.name == name
    assert settings.data.flip == ("random" if mirrors else "none")
