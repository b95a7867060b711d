"""What hatching inserts adds nothing at first, and all of it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mothernets_jax.architectures import named_units, parse
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.mothernet import matched_units
from mothernets_jax.models.apply import apply, apply_and_update
from mothernets_jax.models.variables import init

PAIRS = {
    "plain": ("vgg (3:4) | (3:4); batch_norm", "vgg (3:5)x2 | (3:4)x2; batch_norm"),
    "basic": ("resnet 4 (3:3) | 6 (3:4)", "resnet 5 (3:4)x3 | 7 (5:4)x2"),
    "bottleneck": (
        "resnet 6 (3:3) | 6 (3:4); unit bottleneck",
        "resnet 8 (3:4)x3 | 7 (5:4)x2; unit bottleneck",
    ),
    "preact": (
        "resnet 4 (3:3) | 6 (3:4); unit preact",
        "resnet 5 (3:4)x3 | 7 (5:4)x2; unit preact",
    ),
    "dense": (
        "densenet (3:3) | (3:4); stem 4; transitions 6",
        "densenet (3:4)x3 | (3:4)x2; stem 5; transitions 7",
    ),
    "dense with bottleneck": (
        "densenet (3:3) | (3:4); stem 4; bottleneck 2; transitions 6",
        "densenet (3:4)x3 | (5:4)x2; stem 5; bottleneck 2; transitions 7",
    ),
}
STEPS = 4
grow = jax.jit(hatch, static_argnums=(1, 2))
logits_of = jax.jit(apply, static_argnums=0)


# Much of these is in the others, too.
SLOW = ("bottleneck", "preact", "dense")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in PAIRS],
)
def test_all_of_it_learns(name):
    mother, member = map(parse, PAIRS[name])
    matches = matched_units(mother, member)
    inserted = [unit for unit, _ in named_units(member) if unit not in matches]
    assert inserted
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(16, 8, 8, 2)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 3, 16))
    start = init(mother, jax.random.key(0), (8, 8, 2), 3)
    hatched = grow(start, mother, member, jax.random.key(1), images=images)
    expected = logits_of(mother, start, images)
    found = logits_of(member, hatched, images)
    np.testing.assert_allclose(found, expected, atol=1e-4)

    @jax.jit
    def step(params, stats):
        def loss(params):
            variables = {"params": params, "batch_stats": stats}
            logits, new = apply_and_update(member, variables, images)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), new

        grads, new = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), new

    params, stats = hatched["params"], hatched["batch_stats"]
    for _ in range(STEPS):
        params, stats = step(params, stats)
    after, before = jax.device_get((params, hatched["params"]))
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), after, before)
    for unit in inserted:
        leaves = {k: v for k, v in moved.items() if k.startswith(unit)}
        assert leaves
        for layer, values in leaves.items():
            for leaf, change in values.items():
                assert change > 1e-6, f"{layer}/{leaf} did not learn"
