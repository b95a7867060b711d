"""Refusals keep apart what is text and what is the name of an argument."""

import copy
import pickle

import pytest

from mothernets_jax.utils.argument_errors import (
    Argument,
    ArgumentError,
    Assignment,
    MissingPathError,
    parts_of,
)

# Whatever a path looks like, it is no argument.
PARTS = (Argument("fold"), "=7 in /fold/{fold}/%s: set ", Assignment("fold"), "=0.")
TEXT = "fold=7 in /fold/{fold}/%s: set fold=0."
KINDS = [ArgumentError, MissingPathError]


@pytest.mark.parametrize("kind", KINDS)
def test_only_arguments_are_renamed(kind):
    error = kind(*PARTS)
    assert str(error) == TEXT
    renamed = error.renamed(lambda argument: f"data.{argument}")
    assert type(renamed) is kind
    assert str(renamed) == "data.fold=7 in /fold/{fold}/%s: set data.fold=0."
    assert str(error) == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_an_argument_is_renamed_once(kind):
    """The innermost call knows best, and what it does not know is left to others."""
    inner = {"name": "ood_name"}
    outer = {"name": "wrong", "ood_name": "wrong", "size": "image_size"}
    error = kind(Argument("name"), " ", Argument("size"))
    for names in (inner, outer):
        error = error.renamed(lambda own, names=names: names.get(own, own))
    assert str(error) == "ood_name image_size"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_another_process_gets_the_same(kind, again):
    error = again(kind(*PARTS))
    assert type(error) is kind
    assert str(error) == TEXT
    assert error.parts == PARTS
    assert [type(part) for part in error.parts] == [Argument, str, Assignment, str]


def test_a_missing_path_is_caught_as_both():
    for kind in (ValueError, FileNotFoundError):
        with pytest.raises(kind, match="no folder /x"):
            raise MissingPathError("no folder /x")
    assert MissingPathError("no folder /x").errno is None


def test_other_errors_are_text():
    assert parts_of(ValueError("fold=7")) == ("fold=7",)
    assert parts_of(ArgumentError(*PARTS)) == PARTS
