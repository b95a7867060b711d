"""The family of docs/adding_a_family.md joins in under 60 lines."""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax import architectures
from mothernets_jax.architectures import parse
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth.clustering import cluster
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.mothernet import matched_units, mothernet
from mothernets_jax.models.apply import apply
from mothernets_jax.models.variables import init

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_family.md"
MEMBERS = ("resmlp 9 5 7", "resmlp 8 6", "resmlp 11 5 6 20")


@pytest.fixture
def family(monkeypatch):
    """The page's code, run; its parser is known for one test."""
    monkeypatch.setattr(architectures, "PARSERS", dict(architectures.PARSERS))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102  # the page is ours
    return code, names


def test_it_is_short(family):
    code, _ = family
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) < 60


def test_members_compute_what_their_mothernet_computes(x64, family):
    members = [parse(notation) for notation in MEMBERS]
    assert [str(member) for member in members] == list(MEMBERS)
    mother = mothernet(members)
    assert str(mother) == "resmlp 8 5"
    variables = init(mother, jax.random.key(0), (4, 4, 1), 3)
    variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4, 4, 1)))
    grow = jax.jit(hatch, static_argnums=(1, 2))

    @functools.partial(jax.jit, static_argnums=0)
    @functools.partial(jax.grad, argnums=1, has_aux=True)
    def gradient_of(architecture, params):
        logits = apply(architecture, {"params": params}, images)
        return logits[:, 0].sum(), logits

    _, expected = gradient_of(mother, variables["params"])
    for member in members:
        assert set(matched_units(mother, member)) == {"unit1"}
        grown = grow(variables, mother, member, jax.random.key(1))
        gradient, found = gradient_of(member, grown["params"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        # What was inserted learns: its zero layer has a gradient.
        for name in ("unit2_out", "unit3_out"):
            if name in gradient:
                assert np.abs(gradient[name]["kernel"]).max() > 1e-3


def test_it_is_clustered_with_others(family):
    networks = {str(i): parse(notation) for i, notation in enumerate(MEMBERS)}
    networks["mlp"] = parse("mlp 8")
    found = cluster(networks, input_shape=(4, 4, 1), num_classes=3)
    assert [c.members for c in found] == [("0", "1", "2"), ("mlp",)]
    assert num_params(parse(MEMBERS[1]), (4, 4, 1), 3) == (16 * 8 + 8) + (
        8 * 6 + 6
    ) + 6 * 8 + (8 * 3 + 3)
