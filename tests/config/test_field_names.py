"""The core speaks of its arguments, a run of the fields that they are taken from."""

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

from mothernets_jax import data
from mothernets_jax.config import field_names
from mothernets_jax.config.budget_limit import parse_limit
from mothernets_jax.config.field_names import DATA, OOD_DATA, named_as_fields
from mothernets_jax.config.settings import Settings
from mothernets_jax.growth.clustering import cluster
from mothernets_jax.stages.task import make_task
from mothernets_jax.training.branching_step import first_of_branches
from mothernets_jax.utils.argument_errors import (
    Argument,
    ArgumentError,
    Assignment,
    MissingPathError,
)

PACKAGE = Path(__file__).parents[2] / "mothernets_jax"
# Settings are the arguments of `config/`, `methods/` and `runs/`; `report/` shows them.
OF_SETTINGS = {"config", "methods", "runs", "report", "cli"}
# A command of its own, whose help explains how a run finds what it has prepared.
COMMANDS = {"data/prepare.py"}


def is_core(path):
    name = path.relative_to(PACKAGE).as_posix()
    return name.split("/")[0] not in OF_SETTINGS and name not in COMMANDS


def speaks_of_fields(source):
    """The lines of a file on which a string names a field of the config."""
    strings = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)]
    texts = [(n.lineno, n.value) for n in strings if isinstance(n.value, str)]
    # `config.json` is a file of exported ensembles.
    return [
        line for line, text in texts if "config." in text.replace("config.json", "")
    ]


def test_the_core_names_no_field():
    core = [path for path in sorted(PACKAGE.rglob("*.py")) if is_core(path)]
    assert len(core) > 90
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in core
        if (lines := speaks_of_fields(path.read_text(encoding="utf-8")))
    }
    assert found == {}, "raise an ArgumentError, and see config/field_names.py"


def test_the_control():
    """Such a string is found, in plain text and in pieces, and code is none."""
    assert speaks_of_fields('x = f"set --config.data.fold={1}"') == [1]
    assert speaks_of_fields("import jax\njax.config.update('x', 1)") == []
    assert not is_core(PACKAGE / "runs/limits.py")
    assert is_core(PACKAGE / "data/prepared.py")


TABLES = {
    "DATA": [data.load],
    "OOD_DATA": [data.load, data.load_ood_images],
    "TASK": [make_task, data.load],  # streamed images: for want of memory_bytes
    "BUDGET": [parse_limit],
    "BRANCHES": [first_of_branches],
    "CLUSTERS": [cluster],
}


@pytest.mark.parametrize("table", TABLES)
def test_tables_hold_arguments_and_fields(table):
    arguments = {p for f in TABLES[table] for p in inspect.signature(f).parameters}
    for argument, field in getattr(field_names, table).items():
        assert argument in arguments
        *groups, name = field.split(".")
        settings = Settings()
        for group in groups:
            settings = getattr(settings, group)
        assert name in {own.name for own in dataclasses.fields(settings)}


def test_every_argument_of_load_has_a_field():
    assert set(DATA) == set(inspect.signature(data.load).parameters)


def test_every_table_is_tested():
    assert set(TABLES) == {name for name in vars(field_names) if name.isupper()}


def test_fields_are_written_as_they_are_read_and_typed():
    with pytest.raises(ArgumentError) as caught, named_as_fields(DATA):
        raise ArgumentError(
            Argument("directory"), " is empty: set ", Assignment("directory"), "=PATH"
        )
    expected = "config.data.dir is empty: set --config.data.dir=PATH"
    assert str(caught.value) == expected


def test_the_type_the_cause_and_other_errors_stay():
    cause = KeyError("x")
    with pytest.raises(MissingPathError) as caught, named_as_fields(DATA):
        raise MissingPathError(Argument("directory")) from cause
    assert str(caught.value) == "config.data.dir"
    assert caught.value.__cause__ is cause
    with pytest.raises(ValueError, match="^directory$"), named_as_fields(DATA):
        raise ValueError("directory")


def test_the_inner_call_decides():
    inner = named_as_fields({"name": OOD_DATA["name"]})
    with pytest.raises(ArgumentError) as caught, named_as_fields(DATA), inner:
        raise ArgumentError(Argument("name"), ", ", Argument("fold"))
    assert str(caught.value) == "config.data.ood_name, config.data.fold"


def test_the_core_names_arguments():
    """The control of those above: without a run around it, nothing is renamed."""
    with pytest.raises(ArgumentError, match=r"^fold=7, .* Set e\.g\. fold=0\.$"):
        data.load("digits", fold=7)
