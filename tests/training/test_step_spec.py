"""A step is a value: equal specs share a program, and the engine knows no method."""

import ast
import dataclasses
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import plain_spec

from mothernets_jax.architectures import mlp
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.training.branching_step import SharedTrunk
from mothernets_jax.training.epoch_inputs import (
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.group_step import make_steps, new_group
from mothernets_jax.training.member_step import TrainingData, new_state
from mothernets_jax.training.optim import OPTIMIZERS, AdamW
from mothernets_jax.training.step_spec import Augmentation

ENGINE = Path(__file__).parents[2] / "mothernets_jax"

CHANGES = {
    "architecture": mlp((4,)),
    "augmentation": Augmentation(0, "random"),
    "optimizer": AdamW(),
    "loss": DistillationLoss((mlp((3,)),), 4.0, 0.5),
    "coupling": SharedTrunk(2),
    "dtype": jnp.bfloat16,
    "flops_per_image": 3.0,
    "averaged": True,
    "masked": True,
}


def test_specs_made_apart_are_equal_and_make_the_same_function():
    one, other = plain_spec(mlp((3,))), plain_spec(mlp((3,)))
    assert one is not other and one == other and hash(one) == hash(other)
    assert make_steps(one, "loop") is make_steps(other, "loop")
    assert CHANGES.keys() == {field.name for field in dataclasses.fields(one)}
    for name, value in CHANGES.items():  # the control: everything in it counts
        changed = dataclasses.replace(one, **{name: value})
        assert changed != one
        assert hash(changed) == hash(dataclasses.replace(other, **{name: value}))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_second_member_compiles_nothing_whatever_the_optimiser(name):
    executables, shape, classes = Executables(), (2, 2, 1), 3
    rng = np.random.default_rng(0)
    data = TrainingData(
        jnp.asarray(rng.integers(0, 256, (8, *shape), np.uint8)),
        jnp.asarray(rng.integers(0, classes, 8, np.int32)),
        jnp.array([127.0]),
        jnp.array([70.0]),
    )
    for seed, rate in ((0, 0.1), (1, 0.01)):
        # Made anew for each, with another rate, decay and start.
        spec = dataclasses.replace(
            plain_spec(mlp((3,))), optimizer=type(OPTIMIZERS[name])()
        )
        key = jax.random.key(seed)
        start = init(spec.architecture, key, shape, classes)
        group = new_group([new_state(start, spec.optimizer)])
        keys = MemberKeys(*[key[None]] * 3)
        rates = MemberRates(
            jnp.full((1, 2), rate), jnp.full(1, rate), jnp.zeros(1), jnp.ones(1, bool)
        )
        inputs = make_epoch_inputs(8, 4)(keys, np.int32(0), rates)
        args = group, data, inputs, np.int32(0), np.int32(2)
        trained = executables.get(make_steps(spec, "loop"), *args)(*args)
        moved = jax.tree.map(
            lambda a, b: np.abs(a[0] - b).max(),
            jax.device_get(trained.members.params),
            start["params"],
        )
        assert min(jax.tree.leaves(moved)) > 0
    assert executables.store.count("train_steps") == 1


def test_the_engine_names_no_method():
    """Neither in its code nor in its strings; docstrings may tell of an example."""
    names = {*METHODS, "distillation", "treenets", "bagging"} - {"snapshot"}
    for folder in ("training", "stages"):
        for path in sorted((ENGINE / folder).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                doc = getattr(node, "body", [None])
                if isinstance(doc, list) and doc and isinstance(doc[0], ast.Expr):
                    doc[0].value = ast.Constant("")
            code = ast.unparse(tree).lower().replace("mothernets_jax", "")
            # Not the "star" of a "start", nor the "swa" of a "swap".
            found = [name for name in names if re.search(rf"{name}(?![tp])", code)]
            assert found == [], path
