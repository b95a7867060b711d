"""Run a stage: train its members through the epochs of its recipe.

Divergence is judged in `divergence`, time in `clock`; unfinished work is saved by
`autosave`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from mothernets_jax.ensembles.prediction import ValidationScores, validation_scores
from mothernets_jax.models.variables import Variables
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.runtime.devices import describe_speed
from mothernets_jax.runtime.interruption import InterruptedRunError
from mothernets_jax.stages import figures, saved_states
from mothernets_jax.stages.autosave import StageAutosave
from mothernets_jax.stages.clock import StageClock
from mothernets_jax.stages.context import RunContext
from mothernets_jax.stages.divergence import (
    divergence_reasons,
    roll_back,
    unpredictable,
)
from mothernets_jax.stages.stage import Stage, end_flops, epoch_flops, stage_flops
from mothernets_jax.stages.state import (
    StageState,
    beginning,
    epochs_of,
    still_training,
)
from mothernets_jax.stages.strategy import choose_strategy
from mothernets_jax.stages.task import Task, epoch_images, steps_per_epoch
from mothernets_jax.stages.trainer import GroupTrainer
from mothernets_jax.training.member_step import MemberState, Metrics, begin_average


class StageResult(NamedTuple):
    """The result of a stage.

    Attributes:
        states: final states, by name, of all members but those that were left out.
        record: the record of the training, as plain values.
    """

    states: dict[str, MemberState]
    record: dict[str, Any]


def run_stage(
    stage: Stage,
    task: Task,
    trained: Mapping[str, MemberState],
    context: RunContext,
) -> StageResult:
    """Trains a stage's members to the end of their recipe.

    They begin at their start, or go on from where an interrupted run has saved them:
    the results are the same, bit for bit.

    Args:
        stage: the members and their recipe.
        task: the images, and the devices to train on.
        trained: states in which earlier stages left their networks, by name.
        context: the things that all stages of the run share.

    Raises:
        InterruptedRunError: the run was told to stop; what was trained is saved.
    """
    autosave = context.autosave(stage)
    try:
        run = _StageRun(stage, task, trained, context, autosave)
        while run.train_epoch():
            pass
        result = run.result()
    finally:
        autosave.close()
    return result


class _StageRun:
    """The training of a stage's members through the recipe, and its present state."""

    def __init__(
        self,
        stage: Stage,
        task: Task,
        trained: Mapping[str, MemberState],
        context: RunContext,
        autosave: StageAutosave,
    ):
        """Starts the members, or restores them from the newest save."""
        self._stage, self._task, self._context = stage, task, context
        self._autosave = autosave
        self._executables = executables = Executables(context.store)
        self._flops = epoch_flops(stage, task)
        references = [trained[name].predictor for name in stage.references]
        steps = steps_per_epoch(stage.recipe, task)
        state_of = functools.partial(StageState.from_record, steps_per_epoch=steps)
        saved = autosave.latest(
            saved_states.unfinished_outline,
            lambda found: saved_states.unfinished_template(stage, task, found),
            state_of,
        )
        if saved is None:
            self._state, starts = self._started(trained, references)
            self._good = starts
        else:
            arrays, record = saved
            starts, self._good = saved_states.unfinished_from_saved(
                arrays, stage.members
            )
            self._state = state_of(record)
        self._clock = StageClock(task, executables, self._state.clocks)
        self._trainer = None
        if stage.recipe.epochs:
            sums = [
                Metrics(*map(jnp.float32, self._state.sums[name]))
                for name in stage.members
            ]
            self._trainer = GroupTrainer(
                stage,
                task,
                starts,
                self._state.strategy,
                executables,
                references,
                sums,
            )
        context.progress.start_stage(stage.name, stage.recipe.epochs, self._state.epoch)
        if saved is None:
            context.progress.work(stage.start_flops * len(stage.members))
        else:
            self._tell_where_it_goes_on()

    def _started(
        self, trained: Mapping[str, MemberState], references: Sequence[Variables]
    ) -> tuple[StageState, list[MemberState]]:
        """Starts the members; returns the stage's state and theirs, in their order."""
        stage, task, executables = self._stage, self._task, self._executables
        context = self._context
        zero = beginning(stage.members, "loop", {}, {}).clocks
        hatching = StageClock(task, executables, zero).stopwatch()
        start = stage.start(trained, executables)
        seconds = hatching()
        starts = [
            begin_average(start.states[name], stage.spec) for name in stage.members
        ]
        # Hosts of several kinds may round differently.
        starts = multihost.arrays_from_host0(lambda: starts, starts)
        strategy = "loop"
        if stage.recipe.epochs:
            strategy = choose_strategy(
                context.strategy,
                stage,
                task,
                starts,
                executables,
                context.memory,
                references,
            )
        state = beginning(stage.members, strategy, start.checks, start.left_out)
        if start.checks:
            state.clocks["hatch_seconds"] = seconds
        return state, starts

    def train_epoch(self) -> bool:
        """Trains the members that have an epoch to come for that epoch.

        Returns:
            False if no member had one, so that nothing was trained.

        Raises:
            InterruptedRunError: the run was told to stop; what was trained is saved.
        """
        state, recipe, members = self._state, self._stage.recipe, self._stage.members
        if state.steps == 0 and not state.retrying:
            state.active = still_training(self._stage, state)
        trainer = self._trainer
        over = state.epoch == recipe.epochs or not any(state.active.values())
        if trainer is None or over:
            left = recipe.epochs - state.epoch
            self._context.progress.skip(self._flops * left * len(members))
            return False
        active = [state.active[name] for name in members]
        now_training = self._flops * sum(active)
        before = state.clocks["train_seconds"]

        def pause(steps: int, seconds: float) -> None:
            state.clocks["train_seconds"] = before + self._clock.of_machine(seconds)
            state.steps = steps
            self._save_if_due()

        seconds = trainer.run_epoch(
            state.epoch,
            active,
            lambda share: self._context.progress.work(share * now_training),
            first=state.steps,
            rate_shares=[state.rate_shares[name] for name in members],
            pause=pause,
        )
        state.clocks["train_seconds"] = before + self._clock.of_machine(seconds)
        state.steps = 0
        self._close_epoch(trainer, seconds)
        self._save_if_due()
        return True

    def result(self) -> StageResult:
        """The members as they are now, without those left out, and the record."""
        stage, state, trainer = self._stage, self._state, self._trainer
        average = {} if trainer is None else self._end_averages(trainer)
        self._context.progress.end_stage(stage.name)
        epochs = state.epochs()
        total = sum(epochs.values())
        memory = None if trainer is None else trainer.memory_bytes()
        record = {
            "name": stage.name,
            "architecture": str(stage.architecture),
            "members": list(stage.members),
            "strategy": state.strategy,
            "epochs": epochs,
            "train_flops": stage_flops(stage, self._task, total),
            "images": epoch_images(stage.recipe, self._task) * total,
            "needs": list(stage.needs),
            "history": state.history,
            "retried": state.retried(),
            "left_out": state.left_out,
            "checks": state.checks,
            **({"average": average} if average else {}),
            "clocks": {
                **state.clocks,
                **self._clock.compilation(),
                "memory_bytes": memory,
            },
        }
        kept = {n: s for n, s in self._states().items() if n not in state.left_out}
        return StageResult(kept, record)

    def _end_averages(self, trainer: GroupTrainer) -> dict[str, dict]:
        """Gives running averages their statistics, where they are kept.

        Returns:
            The validation scores of each member's average, by the member's name.
        """
        stage, state = self._stage, self._state
        if not stage.spec.averaged:
            return {}
        estimating = self._clock.stopwatch()
        trainer.estimate_statistics()
        state.clocks["train_seconds"] += estimating()
        flops = end_flops(stage, self._task) * len(stage.members)
        self._context.progress.work(flops)
        ended = trainer.states()
        kept = {name: own for name, own in ended.items() if name not in state.left_out}
        scores = self._validation_scores({n: s.predictor for n, s in kept.items()})
        reasons = multihost.run_on_host0(lambda: unpredictable(scores))
        state.left_out |= {
            name: f"{reason}, with its averaged weights"
            for name, reason in reasons.items()
        }
        return {
            name: {"validation_error": own.error, "validation_loss": own.loss}
            for name, own in scores.items()
        }

    def _states(self) -> dict[str, MemberState]:
        """The members' states as they are, by name."""
        if self._trainer is None:
            return dict(zip(self._stage.members, self._good, strict=True))
        return self._trainer.states()

    def _close_epoch(self, trainer: GroupTrainer, seconds: float) -> None:
        """Judges the members that trained; puts those back that diverged."""
        state, stage = self._state, self._stage
        was_retry, state.retrying = state.retrying, False
        states = trainer.states()
        metrics = dict(zip(stage.members, trainer.metrics(), strict=True))
        trained = {name: states[name] for name in stage.members if state.active[name]}
        reasons = divergence_reasons(trained, metrics, self._task.num_classes)
        fine = {name: own for name, own in trained.items() if name not in reasons}
        changed = self._at_epoch_end(fine)
        to_judge = {**fine, **changed}.items()
        scores = self._validation_scores({n: own.variables for n, own in to_judge})
        # Hosts of several kinds may round differently.
        reasons |= multihost.run_on_host0(lambda: unpredictable(scores))
        if stage.spec.coupling.tied and reasons:
            reasons = dict.fromkeys(trained, next(iter(reasons.values())))
        for name in trained:
            if name not in reasons:
                line = state.record_epoch(
                    name,
                    metrics[name],
                    scores[name],
                    learning_rate=trainer.mean_rate(state.epoch)
                    * state.rate_shares[name],
                    steps_per_epoch=trainer.steps_per_epoch,
                )
                self._context.log(stage=stage.name, **line)
        states |= changed
        if reasons or changed:
            self._go_on_from(states, reasons)
        else:
            self._good = list(states.values())
        self._show_epoch(len(trained), seconds, was_retry=was_retry)

    def _at_epoch_end(
        self, states: Mapping[str, MemberState]
    ) -> Mapping[str, MemberState]:
        """New states, by name, of members that the stage changes after an epoch."""
        if self._stage.epoch_end is None or not states:
            return {}
        return self._stage.epoch_end.change(self._state.epoch + 1, states)

    def _show_epoch(self, trained: int, seconds: float, *, was_retry: bool) -> None:
        """Shows the progress of an epoch in which `trained` members trained."""
        state, stage, progress = self._state, self._stage, self._context.progress
        images = epoch_images(stage.recipe, self._task) * trained
        flops, dtype = self._flops * trained, self._task.dtype
        speed = describe_speed(images, flops, seconds, dtype)
        if not state.retrying:
            state.epoch += 1
            progress.advance(
                stage.name,
                state.epoch,
                stage.recipe.epochs,
                f"{figures.in_words(state.history)}, {speed}",
                figures.in_short(state.history),
            )
        idle = len(stage.members) - trained
        progress.skip(self._flops * (-trained if was_retry else idle))

    def _validation_scores(
        self, networks: Mapping[str, Variables]
    ) -> dict[str, ValidationScores]:
        """Validation scores of networks, by name."""
        evaluating, task = self._clock.stopwatch(), self._task
        judge = functools.partial(
            validation_scores,
            self._stage.architecture,
            dataset=task.dataset,
            batch_size=task.evaluation_batch,
            executables=self._executables,
        )
        scores = {name: judge(variables) for name, variables in networks.items()}
        self._state.clocks["eval_seconds"] += evaluating()
        return scores

    def _go_on_from(
        self, states: Mapping[str, MemberState], reasons: Mapping[str, str]
    ) -> None:
        """Loads new states, but for members that diverged those before the epoch."""
        state, trainer = self._state, self._trainer
        assert trainer is not None
        good = zip(self._stage.members, self._good, strict=True)
        self._good = [
            before if name in reasons or not state.active[name] else states[name]
            for name, before in good
        ]
        trainer.load(self._good)
        if reasons:
            roll_back(state, reasons)

    def _save_if_due(self) -> None:
        number = self._context.interruption.requested()
        if number or self._autosave.due():
            self._save()
        if number:
            self._autosave.wait()
            raise InterruptedRunError(number)

    def _save(self) -> None:
        state, trainer, members = self._state, self._trainer, self._stage.members
        assert trainer is not None
        if state.steps:
            sums = zip(members, trainer.sums(), strict=True)
            state.sums = {name: [float(v) for v in own] for name, own in sums}
        # The states that members go back to if they diverge in this epoch.
        good = dict(zip(members, self._good, strict=True)) if state.steps else None
        record = state.to_record()
        record["clocks"] |= self._clock.compilation()
        saved = saved_states.unfinished_to_saved(trainer.states(), good)
        self._autosave.save(saved, record)

    def _tell_where_it_goes_on(self) -> None:
        state, stage, progress = self._state, self._stage, self._context.progress
        assert self._trainer is not None
        steps = self._trainer.steps_per_epoch
        done = sum(1 for _ in epochs_of(state.history))
        now = sum(state.active.values()) * state.steps / steps
        members = len(stage.members)
        progress.work(self._flops * (done + now) + stage.start_flops * members)
        progress.skip(self._flops * max(0, state.epoch * members - done))
        progress.message(
            f"{stage.name}: goes on in epoch {state.epoch + 1}"
            + (f", step {state.steps + 1} of {steps}" if state.steps else "")
        )
        self._context.log_again(stage.name, epochs_of(state.history))
