"""The reference has every setting, argument and public name, and no other."""

import argparse
import importlib
import re

import pytest
from docs_pages import DOCS, ROOT, rows, text_of

import mothernets_jax as mn
from mothernets_jax.cli.main import _parser
from mothernets_jax.config.fields import Choice
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.unknown import PATHS

SETTINGS = DOCS / "reference" / "settings.md"
COMMANDS = DOCS / "reference" / "command_line.md"
PYTHON = DOCS / "reference" / "python.md"


def default(path):
    value = Settings()
    for name in path.split("."):
        value = getattr(value, name)
    return value


def test_every_setting_is_described_with_its_default():
    described = {name.strip("`"): shown for name, shown, _ in rows(SETTINGS)}
    assert {*described} == {*PATHS}
    for path, shown in described.items():
        value = default(path)
        expected = "(empty)" if value == "" else f"`{value}`"
        assert shown == expected, path


def test_choices_of_a_setting_are_described():
    for name, _, meaning in rows(SETTINGS):
        section, _, leaf = name.strip("`").rpartition(".")
        fields = type(default(section) if section else Settings()).__dataclass_fields__
        rule = fields[leaf].metadata.get("rule")
        if isinstance(rule, Choice) and not meaning.startswith("as `"):
            missing = [own for own in rule.options if own and f"`{own}`" not in meaning]
            assert missing == [], name


def subcommands():
    (action,) = [
        own for own in _parser()._actions if isinstance(own, argparse._SubParsersAction)
    ]
    return action.choices


def arguments(parser):
    """How the page calls the arguments of a subcommand."""
    for action in parser._actions:
        if action.dest != "help":
            yield action.option_strings[0] if action.option_strings else action.metavar


@pytest.mark.parametrize("name", subcommands())
def test_arguments_of_the_command_are_described(name):
    described = re.findall(
        r"`([^`]+)`", " ".join(row[0] for row in rows(COMMANDS, f"mothernets {name}"))
    )
    assert sorted(described) == sorted(arguments(subcommands()[name]))


def test_flags_of_launch_are_described():
    source = (ROOT / "launch.py").read_text(encoding="utf-8")
    defined = re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source)
    described = [row[0].strip("`-") for row in rows(COMMANDS, "launch.py")]
    assert sorted(described) == sorted([*defined, "config", "config.FIELD"])


def test_every_public_name_is_in_the_reference_once():
    """By its own name, or by its module's where the two are called alike."""
    entries = re.findall(r"^::: mothernets_jax\.(\S+)$", text_of(PYTHON), re.MULTILINE)
    names = [entry.rpartition(".")[2] for entry in entries]
    assert sorted(names) == sorted(mn.__all__)
    for entry, name in zip(entries, names, strict=True):
        module = importlib.import_module(f"mothernets_jax.{entry}".rpartition(".")[0])
        assert getattr(module, name) is getattr(mn, name)
        alike = (ROOT / "mothernets_jax" / "architectures" / f"{name}.py").exists()
        assert entry.startswith("architectures.") == alike
