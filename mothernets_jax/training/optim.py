"""The optimiser's step, from plain arguments.

Learning rates and weight decay are traced, so that one compiled step serves every
recipe.
"""

import jax
import jax.numpy as jnp
import optax

MOMENTUM = 0.9


def sgd(
    gradients: dict,
    momentum: dict,
    params: dict,
    *,
    learning_rate: jax.typing.ArrayLike,
    weight_decay: jax.typing.ArrayLike,
) -> tuple[dict, dict]:
    """SGD with Nesterov momentum; weight decay spares biases and normalisation.

    Args:
        gradients: a tree like the parameters.
        momentum: likewise; zeros before the first step.
        params: the parameters.
        learning_rate: scalar, may be traced.
        weight_decay: scalar, may be traced; added to the gradient (L2).

    Returns:
        What to add to the parameters, and the new momentum.
    """

    def kernels(tree):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: path[-1].key == "kernel", tree
        )

    optimiser = optax.chain(
        optax.masked(_add_decayed_weights(weight_decay), kernels),
        optax.trace(decay=MOMENTUM, nesterov=True),
        optax.scale(-jnp.asarray(learning_rate)),
    )
    state = optax.tree_utils.tree_set(optimiser.init(params), trace=momentum)
    updates, state = optimiser.update(gradients, state, params)
    return updates, optax.tree_utils.tree_get(state, "trace")  # type: ignore[return-value]


def _add_decayed_weights(
    weight_decay: jax.typing.ArrayLike,
) -> optax.GradientTransformation:
    """`optax.add_decayed_weights` for a decay that may be traced."""
    return optax.stateless(
        lambda updates, params: jax.tree.map(
            lambda update, param: update + weight_decay * param, updates, params
        )
    )
