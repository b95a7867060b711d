"""A stage's members on their way through the recipe, and where they stand."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mothernets_jax import hosts
from mothernets_jax.checkpoints import DamagedError
from mothernets_jax.compilation import Executables
from mothernets_jax.devices import describe_speed
from mothernets_jax.divergence import send_back, trouble, unpredictable
from mothernets_jax.evaluation import validation_error
from mothernets_jax.group_trainer import GroupTrainer
from mothernets_jax.interruption import InterruptedRunError, Interruption
from mothernets_jax.models import abstract_variables
from mothernets_jax.progress import RunProgress
from mothernets_jax.stage_position import (
    StagePosition,
    beginning,
    epochs_of,
    still_training,
)
from mothernets_jax.stages import (
    EVALUATION_BATCH,
    Stage,
    Task,
    epoch_flops,
    epoch_images,
)
from mothernets_jax.strategies import StrategyMemory, choose_strategy
from mothernets_jax.training import MemberState, Metrics, new_state
from mothernets_jax.unfinished import UnfinishedWork


class StageResult(NamedTuple):
    """What a stage produced.

    Attributes:
        states: of every member but those that diverged twice, by name.
        record: of the training, plain values.
    """

    states: dict[str, MemberState]
    record: dict[str, Any]


def state_shapes(stage: Stage, task: Task) -> dict[str, Any]:
    """Shapes and dtypes of one member's state, as it is saved."""
    shapes = abstract_variables(stage.architecture, task.input_shape, task.num_classes)
    return jax.eval_shape(new_state, shapes)._asdict()


class StageRun:
    """A stage's members on their way through the recipe, and where they stand."""

    def __init__(
        self,
        stage: Stage,
        task: Task,
        executables: Executables,
        progress: RunProgress,
        log: Callable[..., None],
        work: UnfinishedWork,
        interruption: Interruption,
    ):
        self._stage, self._task, self._executables = stage, task, executables
        self._progress, self._log, self._work = progress, log, work
        self._interruption = interruption
        self._flops = epoch_flops(stage, task)
        # Others run beside it on the rest.
        self._share_of_machine = len(task.devices) / jax.device_count()

    def begin(
        self,
        trained: Mapping[str, MemberState],
        strategy: str,
        memory: StrategyMemory,
    ) -> None:
        """Starts the members, or fetches them from where they were saved."""
        stage, task, executables = self._stage, self._task, self._executables
        taught = stage.distillation
        teacher = trained[taught.teacher].variables if taught else None
        saved = self._work.latest(self._saved_shapes)
        if saved is None:
            hatching = self._stopwatch()
            start = stage.start(trained, executables)
            seconds = hatching()
            starts = [start.states[name] for name in stage.members]
            # Hosts of several kinds may round differently.
            starts = hosts.arrays_on_first(lambda: starts, starts)
            strategy = choose_strategy(
                strategy, stage, task, starts, executables, memory, teacher
            )
            self._position = beginning(
                stage.members, strategy, start.checks, start.left_out
            )
            if start.checks:
                self._position.clocks["hatch_seconds"] = seconds
            self._good = starts
        else:
            variables, record = saved
            self._position = StagePosition.from_record(record)
            starts = self._states_of(variables["now"])
            self._good = self._states_of(variables.get("good", variables["now"]))
        position = self._position
        self._clocks_before = dict(position.clocks)  # of an interrupted run
        self._trainer = GroupTrainer(
            stage,
            task,
            starts,
            position.strategy,
            executables,
            teacher,
            [Metrics(*map(jnp.float32, position.sums[n])) for n in stage.members],
        )
        self._progress.start_stage(stage.name, stage.recipe.epochs, position.epoch)
        if saved is not None:
            self._tell_where_it_goes_on()

    def train_epoch(self) -> bool:
        """Trains whoever is to train for an epoch; whether anyone did.

        Raises:
            InterruptedRunError: told to stop; what was trained is saved.
        """
        position, recipe, members = self._position, self._stage.recipe, self._members
        if position.steps == 0 and not position.retrying:
            position.active = still_training(self._stage, position)
        if position.epoch == recipe.epochs or not any(position.active.values()):
            left = recipe.epochs - position.epoch
            self._progress.skip(self._flops * left * len(members))
            return False
        active = [position.active[name] for name in members]
        now_training = self._flops * sum(active)
        before = position.clocks["train_seconds"]

        def pause(steps: int, seconds: float) -> None:
            position.clocks["train_seconds"] = before + self._of_machine(seconds)
            position.steps = steps
            self._save_if_due()

        seconds = self._trainer.run_epoch(
            position.epoch,
            active,
            lambda share: self._progress.work(share * now_training),
            first=position.steps,
            rate_shares=[position.rate_shares[name] for name in members],
            pause=pause,
        )
        position.clocks["train_seconds"] = before + self._of_machine(seconds)
        position.steps = 0
        self._close_epoch(seconds)
        self._save_if_due()
        return True

    def result(self) -> StageResult:
        """The members as they are now, and the record."""
        stage, position = self._stage, self._position
        self._progress.end_stage(stage.name)
        self._count_compilation()
        epochs = position.epochs()
        record = {
            "name": stage.name,
            "architecture": str(stage.architecture),
            "members": list(stage.members),
            "strategy": position.strategy,
            "epochs": epochs,
            "train_flops": self._flops * sum(epochs.values()),
            "images": epoch_images(stage.recipe, self._task) * sum(epochs.values()),
            "needs": list(stage.needs),
            "history": position.history,
            "retried": position.retried(),
            "left_out": position.left_out,
            "checks": position.checks,
            "clocks": {
                **position.clocks,
                "memory_bytes": self._trainer.memory_bytes(),
            },
        }
        states = {
            name: state
            for name, state in self._trainer.states().items()
            if name not in position.left_out
        }
        return StageResult(states, record)

    @property
    def _members(self) -> tuple[str, ...]:
        return self._stage.members

    def _close_epoch(self, seconds: float) -> None:
        """Judges those that have trained; who diverged goes back, to try it again."""
        position, stage = self._position, self._stage
        was_retry, position.retrying = position.retrying, False
        states = self._trainer.states()
        metrics_of = dict(zip(self._members, self._trainer.metrics(), strict=True))
        trained = [name for name in self._members if position.active[name]]
        troubles = {
            name: reason
            for name in trained
            if (
                reason := trouble(
                    states[name], metrics_of[name], self._task.num_classes
                )
            )
        }
        errors = self._validation_errors(
            {name: states[name] for name in trained if name not in troubles}
        )
        # Hosts of several kinds may round differently.
        troubles |= hosts.on_first(lambda: unpredictable(errors))
        if stage.branches_at and troubles:  # all, as they share their trunk
            troubles = dict.fromkeys(trained, next(iter(troubles.values())))
        for name in trained:
            if name not in troubles:
                self._record_epoch(name, metrics_of[name], errors[name])
        if troubles:
            self._send_back(troubles, states)
        else:
            self._good = list(states.values())
        images = self._trainer.steps_per_epoch * stage.recipe.batch_size
        flops = self._flops * len(trained)
        speed = describe_speed(images * len(trained), flops, seconds, self._task.dtype)
        if not position.retrying:
            position.epoch += 1
            latest = f"{position.latest()}, {speed}"
            self._progress.advance(
                stage.name, position.epoch, stage.recipe.epochs, latest
            )
        idle = len(self._members) - len(trained)
        self._progress.skip(self._flops * (-len(trained) if was_retry else idle))

    def _validation_errors(
        self, states: Mapping[str, MemberState]
    ) -> dict[str, float | None]:
        """Of members after an epoch, by name, as `evaluation.validation_error`."""
        evaluating = self._stopwatch()
        errors = {
            name: validation_error(
                self._stage.architecture,
                state.variables,
                self._task.dataset,
                batch_size=EVALUATION_BATCH,
                executables=self._executables,
            )
            for name, state in states.items()
        }
        self._position.clocks["eval_seconds"] += evaluating()
        return errors

    def _record_epoch(
        self, name: str, means: Metrics, on_validation: float | None
    ) -> None:
        position = self._position
        rate = self._trainer.mean_rate(position.epoch) * position.rate_shares[name]
        figures = {
            "train_loss": means.loss,
            "train_error": 1 - means.accuracy,
            "validation_error": on_validation,
            "learning_rate": rate,
        }
        for key, value in figures.items():
            position.history[name][key].append(value)
        epoch = len(position.history[name]["train_loss"])
        self._log(stage=self._stage.name, member=name, epoch=epoch, **figures)

    def _send_back(
        self, troubles: Mapping[str, str], states: Mapping[str, MemberState]
    ) -> None:
        """Those in trouble to the states before the epoch, the others stay."""
        position = self._position
        good = zip(self._members, self._good, strict=True)
        self._good = [
            state if name in troubles or not position.active[name] else states[name]
            for name, state in good
        ]
        self._trainer.load(self._good)
        send_back(position, troubles)

    def _save_if_due(self) -> None:
        number = self._interruption.requested()
        if number or self._work.due():
            self._save()
        if number:
            self._work.wait()
            raise InterruptedRunError(number)

    def _save(self) -> None:
        position, states = self._position, self._trainer.states()
        if position.steps:
            sums = zip(self._members, self._trainer.sums(), strict=True)
            position.sums = {name: [float(v) for v in own] for name, own in sums}
        variables = {"now": {name: s._asdict() for name, s in states.items()}}
        if position.steps:  # what a member that diverges in this epoch goes back to
            good = zip(self._members, self._good, strict=True)
            variables["good"] = {name: state._asdict() for name, state in good}
        self._count_compilation()
        self._work.save(variables, position.to_record())

    def _saved_shapes(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Shapes of what `_save` has saved with a record."""
        try:
            steps = StagePosition.from_record(record).steps
        except TypeError as error:
            raise DamagedError(
                f"{self._stage.name}: what was saved of it is of another version "
                f"({error})"
            ) from None
        each = dict.fromkeys(self._members, state_shapes(self._stage, self._task))
        return {"now": each, "good": each} if steps else {"now": each}

    def _states_of(self, saved: Mapping[str, Any]) -> list[MemberState]:
        return [MemberState(**saved[name]) for name in self._members]

    def _tell_where_it_goes_on(self) -> None:
        position, steps = self._position, self._trainer.steps_per_epoch
        done = sum(1 for _ in epochs_of(position.history))
        now = sum(position.active.values()) * position.steps / steps
        self._progress.work(self._flops * (done + now))
        idle = position.epoch * len(self._members) - done
        self._progress.skip(self._flops * max(0, idle))
        self._progress.message(
            f"{self._stage.name}: goes on in epoch {position.epoch + 1}"
            + (f", step {position.steps + 1} of {steps}" if position.steps else "")
        )
        for entry in epochs_of(position.history):
            self._log(stage=self._stage.name, **entry)

    def _count_compilation(self) -> None:
        clocks, before = self._position.clocks, self._clocks_before
        meter = self._executables
        clocks["compile_seconds"] = before["compile_seconds"] + meter.seconds
        clocks["compile_wait_seconds"] = before["compile_wait_seconds"] + meter.waited

    def _stopwatch(self) -> Callable[[], float]:
        """Seconds since now, without those spent waiting for programs."""
        meter, started = self._executables, time.perf_counter()
        waited = meter.waited
        return lambda: self._of_machine(
            time.perf_counter() - started - (meter.waited - waited)
        )

    def _of_machine(self, seconds: float) -> float:
        """Seconds of this stage's devices as seconds of all devices."""
        return seconds * self._share_of_machine
