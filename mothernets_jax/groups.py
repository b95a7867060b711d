"""Train the members of one architecture together, an epoch a call.

Members of a group share shapes, hence one compiled program. Three strategies run them;
they differ in speed only:

* `loop`: one after another, with the program of a single member.
* `unroll`: one program in which each step does every member in turn.
* `vmap`: one program over a stacked member axis; its convolutions become grouped ones.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.training import (
    Augmentation,
    MemberState,
    Metrics,
    TrainingData,
    epoch_order,
    make_member_step,
)
from mothernets_jax.trees import stack, unstack

STRATEGIES = ("vmap", "unroll", "loop")  # what "auto" chooses from

# (states, data, keys [members], learning rates [steps], weight decay)
#   -> (states, metrics by member)
EpochFunction = Callable[..., tuple[tuple[MemberState, ...], tuple[Metrics, ...]]]


def choose_strategy(requested: str, members: int) -> str:
    """Resolves `auto` by a written rule.

    A group of one is a loop. On the CPU groups are unrolled up to four members (one
    compiled step keeps both cores busy; beyond, compilation grows with the members) and
    looped above; grouped convolutions are slow there. On accelerators: vmap.
    """
    if requested != "auto":
        return requested
    if members == 1:
        return "loop"
    if jax.default_backend() == "cpu":
        return "unroll" if members <= 4 else "loop"
    return "vmap"


@functools.cache
def make_epoch(
    architecture: Architecture,
    augmentation: Augmentation,
    batch_size: int,
    strategy: str,
) -> EpochFunction:
    """A jitted function that trains a group for an epoch.

    It takes (states, data, keys, learning_rates, weight_decay): a tuple of member
    states (donated), `TrainingData`, one key a member, the learning rates [steps] that
    all share, and the weight decay. With `loop` it is to be called member by member.

    Returns:
        The new states and each member's metrics over the epoch.
    """
    member_step = make_member_step(architecture, augmentation)

    def unrolled(states, data, keys, learning_rates, weight_decay):
        examples = data.labels.shape[0]
        orders = [epoch_order(key, examples, batch_size) for key in keys]

        def step(states, inputs):
            orders, learning_rate = inputs
            results = [
                member_step(state, data, *order, learning_rate, weight_decay)
                for state, order in zip(states, orders, strict=True)
            ]
            states, metrics = zip(*results, strict=True)
            return states, metrics

        states, metrics = jax.lax.scan(step, states, (orders, learning_rates))
        return states, jax.tree.map(jnp.mean, metrics)

    def vmapped(states, data, keys, learning_rates, weight_decay):
        def single(state, key):
            (state,), (metrics,) = unrolled(
                (state,), data, (key,), learning_rates, weight_decay
            )
            return state, metrics

        states, metrics = jax.vmap(single)(stack(states), jnp.stack(keys))
        return unstack(states, len(keys)), unstack(metrics, len(keys))

    function = vmapped if strategy == "vmap" else unrolled
    return jax.jit(function, donate_argnums=0)


def train_epoch(
    run: EpochFunction,
    strategy: str,
    states: Sequence[MemberState],
    active: Sequence[bool],
    data: TrainingData,
    keys: Sequence[jax.Array],
    learning_rates: jax.Array,
    weight_decay: jax.Array,
) -> tuple[list[MemberState], list[Metrics | None]]:
    """Trains the active members of a group for an epoch.

    Args:
        run: from `make_epoch`, or its compiled form.
        strategy: the one it was made for.
        states: one for each member; all are given up to the call.
        active: which members still train. With `loop` the others cost nothing; in a
            common program they are stepped along and left as they were.
        data: the training split.
        keys: one a member, for this epoch.
        learning_rates: [steps].
        weight_decay: scalar.

    Returns:
        The states and the metrics, None for members that do not train.
    """
    shared = (learning_rates, weight_decay)
    new_states: list[MemberState] = list(states)
    metrics: list[Metrics | None] = [None] * len(states)
    if strategy == "loop":
        for i, (state, key) in enumerate(zip(states, keys, strict=True)):
            if active[i]:
                (new_states[i],), (metrics[i],) = run((state,), data, (key,), *shared)
        return new_states, metrics
    idle = {
        i: jax.tree.map(jnp.array, states[i]) for i, on in enumerate(active) if not on
    }
    trained, trained_metrics = run(tuple(states), data, tuple(keys), *shared)
    for i, on in enumerate(active):
        new_states[i] = trained[i] if on else idle[i]
        metrics[i] = trained_metrics[i] if on else None
    return new_states, metrics
