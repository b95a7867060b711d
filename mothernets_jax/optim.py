"""Schedules and the optimiser, from plain arguments.

Learning rates and weight decay are traced, so that one compiled step serves every
recipe.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

SCHEDULES = ("cosine", "step", "constant")
MOMENTUM = 0.9


def learning_rates(
    schedule: str,
    peak: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
) -> np.ndarray:
    """The learning rate of every step.

    A linear warm-up from 0 to the peak, then: `cosine` to 0 (`peak / 2 (1 + cos(pi t))`
    with t from 0 to 1 over the steps that remain), `step` a tenth after a half of the
    steps that remain and another tenth after three quarters, `constant` the peak.

    Args:
        schedule: its name.
        peak: the largest learning rate.
        total_steps: steps in all, warm-up included.
        warmup_steps: at most `total_steps`.

    Returns:
        float32 [total_steps].

    Raises:
        ValueError: an unknown schedule.
    """
    decay_steps = max(1, total_steps - warmup_steps)
    if schedule == "cosine":
        decay = optax.cosine_decay_schedule(peak, decay_steps)
    elif schedule == "step":
        drops = {decay_steps // 2: 0.1, decay_steps * 3 // 4: 0.1}
        decay = optax.piecewise_constant_schedule(peak, drops)
    elif schedule == "constant":
        decay = optax.constant_schedule(peak)
    else:
        raise ValueError(f"schedule is {schedule!r}: expected one of {SCHEDULES}")
    # Step 0 already moves: the ramp takes its values after each of its steps.
    warmup = peak * np.arange(1, warmup_steps + 1) / max(1, warmup_steps)
    decayed = jax.vmap(decay)(jnp.arange(total_steps - warmup_steps))
    return np.concatenate([warmup, decayed]).astype(np.float32)


def sgd(
    learning_rate: jax.typing.ArrayLike, weight_decay: jax.typing.ArrayLike
) -> optax.GradientTransformation:
    """SGD with Nesterov momentum; weight decay spares biases and normalisation.

    Args:
        learning_rate: scalar, may be traced.
        weight_decay: scalar, may be traced; added to the gradient (L2).
    """

    def kernels(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: path[-1].key == "kernel", params
        )

    return optax.chain(
        optax.masked(_add_decayed_weights(weight_decay), kernels),
        optax.trace(decay=MOMENTUM, nesterov=True),
        optax.scale(-jnp.asarray(learning_rate)),
    )


def _add_decayed_weights(
    weight_decay: jax.typing.ArrayLike,
) -> optax.GradientTransformation:
    """`optax.add_decayed_weights` for a decay that may be traced."""
    return optax.stateless(
        lambda updates, params: jax.tree.map(
            lambda update, param: update + weight_decay * param, updates, params
        )
    )
