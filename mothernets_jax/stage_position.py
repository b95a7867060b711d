"""Where a stage stands on its way, in plain values, so that it can be saved."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from mothernets_jax.stages import Stage

_METRICS = ("train_loss", "train_error", "validation_error", "learning_rate")
_CLOCKS = (
    "train_seconds",
    "eval_seconds",
    "hatch_seconds",
    "compile_seconds",
    "compile_wait_seconds",
)


@dataclasses.dataclass
class StagePosition:
    """A stage between two steps; everything but the members' states.

    Attributes:
        strategy: that steps the members; a run must not change its own.
        epoch: from 0, the one that is being trained, or comes next.
        steps: of it that are done.
        retrying: whether it is trained again, by those that had diverged in it.
        active: by member, who trains in it.
        sums: by member, loss and accuracy added up over its steps.
        history: by member, each metric after every epoch.
        rate_shares: by member, a factor on the learning rate.
        discarded_epochs: by member, in which it diverged.
        left_out: by member that diverged twice, or could not begin, why.
        checks: of the start, by member.
        clocks: seconds so far; of training, hatching and evaluating those of the whole
            machine: on a quarter of its devices a second counts a quarter.
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
        """How many each member has trained, discarded ones included."""
        return {
            name: len(history["train_loss"]) + self.discarded_epochs[name]
            for name, history in self.history.items()
        }

    def retried(self) -> list[str]:
        """Members that diverged once, and train on at a lower rate."""
        return [name for name, count in self.discarded_epochs.items() if count == 1]

    def latest(self) -> str:
        """The group's newest figures in a few words."""
        newest = [
            {key: values[-1] for key, values in history.items()}
            for history in self.history.values()
            if history["train_loss"]
        ]
        if not newest:
            return "no epoch succeeded"
        losses, errors, validation = (
            [figures[key] for figures in newest] for key in _METRICS[:3]
        )
        text = f"loss {np.mean(losses):.3f}, training error {np.mean(errors):.1%}"
        if None not in validation:
            text += f", validation error {np.mean(validation):.1%}"
        return text

    def to_record(self) -> dict[str, Any]:
        """Plain values, to which nothing that follows makes a change."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_record`.

        Raises:
            TypeError: a record of another version.
        """
        return cls(**record)


def beginning(
    members: Sequence[str],
    strategy: str,
    checks: dict[str, dict[str, float]],
    left_out: Mapping[str, str],
) -> StagePosition:
    """The position of members that have just been started."""
    return StagePosition(
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


def epochs_of(history: Mapping[str, Mapping[str, list]]) -> Iterator[dict[str, Any]]:
    """Every member's figures of every epoch, epoch after epoch.

    Args:
        history: of each member, the figures of its epochs by metric.
    """
    longest = max(len(h["train_loss"]) for h in history.values())
    for epoch in range(longest):
        for name, figures in history.items():
            if epoch < len(figures["train_loss"]):
                found = {key: values[epoch] for key, values in figures.items()}
                yield {"member": name, "epoch": epoch + 1, **found}


def plateaued(accuracies: Sequence[float], patience_epochs: int) -> bool:
    """Whether the training accuracy has not improved for so many epochs."""
    best = int(np.argmax(accuracies)) if accuracies else 0
    return len(accuracies) - 1 - best >= patience_epochs


def still_training(stage: Stage, position: StagePosition) -> dict[str, bool]:
    """By member, who has an epoch to come, were there more in the recipe."""
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
    if stage.branches_at:  # all or none, as they share their trunk
        return dict.fromkeys(stage.members, any(active.values()))
    return active
