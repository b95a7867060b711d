"""Stages of networks of one hidden unit that tell bright images from dark ones."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from step_specs import OPTIMIZER

from mothernets_jax.architectures import mlp
from mothernets_jax.config.settings import Recipe
from mothernets_jax.data import Dataset
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.stages.autosave import StageAutosave
from mothernets_jax.stages.context import RunContext
from mothernets_jax.stages.run_stage import run_stage
from mothernets_jax.stages.stage import Stage, Start
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import make_task, step_spec
from mothernets_jax.training.member_step import new_state

# Of one member's epoch: 6 x (4 pixels x 1 unit + 1 unit x 2 classes) x 16 images.
NETWORK = mlp((1,))
EPOCH_FLOPS = 6 * 6 * 16
RECIPE = Recipe(
    epochs=12,
    batch_size=4,
    learning_rate=0.0,
    weight_decay=0.0,
    label_smoothing=0.0,
    schedule="constant",
    warmup_epochs=0.0,
    stop="plateau",
    patience_epochs=3,
)


def make_dataset(validation):
    """Bright and dark images of 2x2 pixels."""
    labels = np.arange(16, dtype=np.int32) % 2
    images = np.repeat(255 * labels, 4).reshape(16, 2, 2, 1).astype(np.uint8)
    few = images[:validation], labels[:validation]
    half = np.array([127.5], np.float32)
    return Dataset(images, labels, *few, *few, *few, ("dark", "bright"), half, half)


def solution(sign):
    """Variables that are right about every image; with a sign of -1, about none."""
    layer = {"kernel": jnp.ones((4, 1)), "bias": jnp.zeros(1)}  # bright: 4, dark: 0
    head = {"kernel": jnp.array([[-1.0, 1.0]]), "bias": jnp.array([2.0, -2.0])}
    head = {name: sign * leaf for name, leaf in head.items()}
    return {"params": {"dense1": layer, "head": head}, "batch_stats": {}}


STARTS = solution(1), solution(-1)


class StopAt(Interruption):
    """Asks to stop the n-th time that it is asked."""

    def __init__(self, asked):
        super().__init__()
        self.left = asked

    def requested(self):
        self.left -= 1
        return 15 if self.left == 0 else 0


class Account:
    """Stands for the bars: adds up the work that is reported."""

    def __init__(self):
        self.done = self.skipped = 0.0

    def start_stage(self, name, epochs, done=0):
        pass

    def work(self, flops):
        self.done += flops

    def advance(self, name, epoch, epochs, latest, short):
        pass

    def end_stage(self, name):
        pass

    def skip(self, flops):
        self.skipped += flops

    def message(self, text):
        pass


class TinyContext(RunContext):
    """A context that keeps what is logged, and saves where it is told."""

    def autosave(self, stage):
        return self.saves

    def log(self, **figures):
        self.entries.append(figures)

    def log_again(self, stage, entries):
        self.entries += [{"stage": stage, **entry} for entry in entries]


def tiny_context(store, account, strategy="unroll", interruption=None):
    """A context that saves nothing, and tells an `Account` of the work."""
    context = TinyContext(
        None,
        strategy,
        StrategyMemory(),
        store,
        account,
        None,
        interruption or Interruption(),
    )
    context.entries, context.saves = [], StageAutosave(None)
    return context


def train_stage(
    store,
    starts,
    names=("a", "b"),
    *,
    strategy="unroll",
    validation=4,
    work=None,
    interruption=None,
    epoch_end=None,
    architecture=NETWORK,
    teachers=(),
    **recipe,
):
    """Trains members of a stage, taught by networks of the same shape if there are any.

    Returns:
        Its result, the entries that it logged, the work that it reported, and the stage
        with the task.
    """
    task = make_task(
        make_dataset(validation),
        crop_padding=0,
        crop_border="black",
        flip="none",
        seed=0,
        batch_size=4,
    )
    states = {n: new_state(s, OPTIMIZER) for n, s in zip(names, starts, strict=True)}
    own = dataclasses.replace(RECIPE, **recipe)
    trained = {f"teacher{i}": new_state(s, OPTIMIZER) for i, s in enumerate(teachers)}
    loss = DistillationLoss((architecture,) * len(teachers), 2.0, 0.5)
    stage = Stage(
        "method",
        "label",
        names,
        own,
        step_spec(task, architecture, recipe=own, loss=loss if teachers else None),
        lambda trained, executables: Start(states, {}),
        tuple(trained),
        references=tuple(trained),
        epoch_end=epoch_end,
    )
    account, entries = Account(), []
    context = tiny_context(store, account, strategy, interruption)
    context.entries, context.saves = entries, work or StageAutosave(None)
    result = run_stage(stage, task, trained, context)
    return result, entries, account, (stage, task)
