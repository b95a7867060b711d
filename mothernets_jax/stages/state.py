"""The progress of a stage, in plain values, so that it can be saved."""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from mothernets_jax.ensembles.prediction import ValidationScores
from mothernets_jax.stages.stage import Stage
from mothernets_jax.storage.files import DamagedError
from mothernets_jax.training.member_step import Metrics

# Of an epoch of a member. What is under `clocks` differs on a repeat.
_METRICS = (
    "step",
    "train_loss",
    "train_error",
    "validation_loss",
    "validation_error",
    "learning_rate",
    "clocks",
)
_CLOCKS = (
    "train_seconds",
    "eval_seconds",
    "hatch_seconds",
    "compile_seconds",
    "compile_wait_seconds",
)


@dataclasses.dataclass
class StageState:
    """A stage between two steps; everything but the members' states.

    Attributes:
        strategy: the strategy that steps the members; a run must not change its own.
        epoch: number, from 0, of the epoch that is being trained, or comes next.
        steps: number of steps of this epoch that are done.
        retrying: true if the epoch is trained again, by members that diverged in it.
        active: true, by name, for the members that train in the epoch.
        sums: loss and accuracy added up over the epoch's steps, by name of the member.
        history: the values of each metric, one for each epoch, by name of the member
            and of the metric.
        rate_shares: factor on the learning rate, by name of the member.
        discarded_epochs: number of epochs in which a member diverged, by its name.
        left_out: reasons, by name, of members that diverged twice or could not begin.
        checks: figures measured at the start, by name of the member and of the figure.
        clocks: seconds so far, by name of the clock. Those of training, hatching and
            evaluating are of the whole machine: on a quarter of its devices a second
            counts a quarter.
    """

    strategy: str
    epoch: int
    steps: int
    retrying: bool
    active: dict[str, bool]
    sums: dict[str, list[float]]
    history: dict[str, dict[str, list]]
    rate_shares: dict[str, float]
    discarded_epochs: dict[str, int]
    left_out: dict[str, str]
    checks: dict[str, dict[str, float]]
    clocks: dict[str, float]

    def epochs(self) -> dict[str, int]:
        """Number of epochs that each member has trained, discarded ones included."""
        return {
            name: len(history["train_loss"]) + self.discarded_epochs[name]
            for name, history in self.history.items()
        }

    def retried(self) -> list[str]:
        """Members that diverged once, and train on at a lower rate."""
        return [name for name, count in self.discarded_epochs.items() if count == 1]

    def record_epoch(
        self,
        member: str,
        means: Metrics,
        on_validation: ValidationScores,
        *,
        learning_rate: float,
        steps_per_epoch: int,
    ) -> dict[str, Any]:
        """Adds the figures of a member's newest epoch, and the time, to its history.

        Args:
            member: the member's name.
            means: its mean metrics over the steps of the epoch.
            on_validation: its scores on the validation images after the epoch.
            learning_rate: its mean learning rate in the epoch.
            steps_per_epoch: number of steps of the epoch.

        Returns:
            What `epochs_of` yields for this epoch.
        """
        history = self.history[member]
        epoch = len(history["train_loss"]) + 1
        now = datetime.datetime.now(datetime.UTC)
        figures = {
            "step": epoch * steps_per_epoch,
            "train_loss": means.loss,
            "train_error": 1 - means.accuracy,
            "validation_loss": on_validation.loss,
            "validation_error": on_validation.error,
            "learning_rate": learning_rate,
            "clocks": {"time": now.isoformat(timespec="milliseconds")},
        }
        for metric, value in figures.items():
            history[metric].append(value)
        return {"member": member, "epoch": epoch, **figures}

    def to_record(self) -> dict[str, Any]:
        """The state as plain values, a copy that later changes do not reach."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], steps_per_epoch: int) -> Self:
        """The inverse of `to_record`.

        Args:
            record: what `to_record` returned. Earlier versions counted no steps, and
                noted neither the time nor the validation loss of an epoch: the steps
                are filled in, the others are None.
            steps_per_epoch: number of steps of an epoch.

        Raises:
            DamagedError: the record was written by another version.
        """
        try:
            state = cls(**record)
            state.history = {
                name: _with_every_metric(own, steps_per_epoch)
                for name, own in state.history.items()
            }
            return state
        except TypeError as error:
            raise DamagedError(
                f"what was saved of it is of another version ({error})"
            ) from (None)


def beginning(
    members: Sequence[str],
    strategy: str,
    checks: dict[str, dict[str, float]],
    left_out: Mapping[str, str],
) -> StageState:
    """The state of a stage whose members have just been started."""
    return StageState(
        strategy=strategy,
        epoch=0,
        steps=0,
        retrying=False,
        active=dict.fromkeys(members, True),
        sums={name: [0.0, 0.0] for name in members},
        history={name: {metric: [] for metric in _METRICS} for name in members},
        rate_shares=dict.fromkeys(members, 1.0),
        discarded_epochs=dict.fromkeys(members, 0),
        left_out=dict(left_out),
        checks=checks,
        clocks=dict.fromkeys(_CLOCKS, 0.0),
    )


def _with_every_metric(
    history: Mapping[str, list], steps_per_epoch: int
) -> dict[str, list]:
    """A member's history with the metrics that an earlier version did not note."""
    epochs = len(history["train_loss"])
    unknown = {
        "step": [steps_per_epoch * (epoch + 1) for epoch in range(epochs)],
        "validation_loss": [None] * epochs,
        "clocks": [{"time": None} for _ in range(epochs)],
    }
    found = {**unknown, **history}
    return {metric: found[metric] for metric in _METRICS}


def epochs_of(history: Mapping[str, Mapping[str, list]]) -> Iterator[dict[str, Any]]:
    """Yields the figures of every member in every epoch, epoch after epoch.

    Args:
        history: the values of each metric, one for each epoch, by name of the member
            and of the metric.
    """
    longest = max(len(h["train_loss"]) for h in history.values())
    for epoch in range(longest):
        for name, figures in history.items():
            if epoch < len(figures["train_loss"]):
                found = {key: values[epoch] for key, values in figures.items()}
                yield {"member": name, "epoch": epoch + 1, **found}


def plateaued(accuracies: Sequence[float], patience_epochs: int) -> bool:
    """Tells whether the training accuracy has stopped improving.

    Args:
        accuracies: training accuracy of every epoch so far.
        patience_epochs: number of epochs without a new best that are enough.
    """
    best = int(np.argmax(accuracies)) if accuracies else 0
    return len(accuracies) - 1 - best >= patience_epochs


def still_training(stage: Stage, position: StageState) -> dict[str, bool]:
    """Tells, by name, which members would train another epoch if the recipe had one."""
    recipe = stage.recipe
    active = {
        name: name not in position.left_out
        and (
            recipe.stop == "epochs"
            or not plateaued(
                [-error for error in position.history[name]["train_error"]],
                recipe.patience_epochs,
            )
        )
        for name in stage.members
    }
    if stage.spec.coupling.tied:
        return dict.fromkeys(stage.members, any(active.values()))
    return active
