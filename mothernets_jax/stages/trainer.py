"""Training of a stage's members: their states and the program that steps them."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.models.variables import Variables
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.batches import make_chunks
from mothernets_jax.stages.inputs import (
    call_bounds,
    class_weights,
    epoch_inputs_of,
    keys_of,
    member_rates,
)
from mothernets_jax.stages.stage import Stage, stage_average_weights, stage_rates
from mothernets_jax.stages.task import Task, statistics_steps, steps_per_epoch
from mothernets_jax.training.epoch_inputs import EpochInputs
from mothernets_jax.training.group_step import make_steps, new_group, take_apart
from mothernets_jax.training.member_step import MemberState, Metrics, TrainingData
from mothernets_jax.training.sharding import fetch, place, put
from mothernets_jax.training.statistics import make_statistics
from mothernets_jax.utils.pytrees import stack, unstack

# A call trains for about this many seconds, after which progress is shown.
_CALL_SECONDS = 1.0
_TRIALS, _TRIAL_STEPS = 3, 3
# The kinds of memory that a program needs, as the compiler names them.
_IN_MEMORY = ("argument", "output", "temp", "generated_code")


class GroupTrainer:
    """Trains the members of a stage by one strategy, an epoch at a time.

    With `loop` every member is a group of its own; else all are one group.

    Attributes:
        steps_per_epoch: number of batches that the training split fills.
        compile_seconds: seconds that compiling the program took, whenever that was.
    """

    def __init__(
        self,
        stage: Stage,
        task: Task,
        states: Sequence[MemberState],
        strategy: str,
        executables: Executables,
        references: Sequence[Variables] = (),
        sums: Sequence[Metrics] | None = None,
    ):
        """Puts everything on the task's devices and compiles the program.

        Args:
            stage: the stage to train.
            task: the images, and the devices to train on.
            states: first states of the members, in the stage's order; copied.
            strategy: one of `group_step.STRATEGIES`.
            executables: the programs compiled so far, to which new ones are added.
            references: variables of the networks that the loss refers to.
            sums: metrics of each member added up over the steps that are done of an
                unfinished epoch; None for zero.
        """
        recipe = stage.recipe
        self.steps_per_epoch = steps_per_epoch(recipe, task)
        self._rates = stage_rates(stage, task)
        self._average_weights = stage_average_weights(stage, task)
        self._stage, self._task, self._executables = stage, task, executables
        self._size = size = 1 if strategy == "loop" else len(stage.members)
        rows = 1 if stage.spec.coupling.tied else self._size
        self._placement = place(task.devices, rows, recipe.batch_size)
        keys = keys_of(stage, task)
        self._group_keys = [
            jax.tree.map(lambda *own: jnp.stack(own), *self._fill(keys[i : i + size]))
            for i in range(0, len(keys), size)
        ]
        if self._placement.mesh is None:  # so that what is drawn from them is there
            self._group_keys = put(self._group_keys, self._placement.everywhere)
        self._chunks = make_chunks(stage, task, self._placement)
        self._beside_images = put(
            {
                "references": tuple(references),
                "class_weights": class_weights(recipe, task),
            },
            self._placement.everywhere,
        )
        self.load(states, sums)
        self._zero = jax.tree.map(
            lambda sums: np.zeros(sums.shape, sums.dtype), self._groups[0].sums
        )
        self._draw: Callable[..., EpochInputs] | None = None
        self._call_steps = 1  # until it is known how long a step takes
        self._of_program: dict[str, Any] = {
            "spec": stage.spec,
            "strategy": strategy,
            "mesh": self._placement.mesh,
            "divided_data": task.dataset.streamed,
        }
        function = make_steps(**self._of_program)
        inputs = self._inputs(0, 0, [True] * len(states), None)
        shapes = self._chunks.shapes._replace(**self._beside_images)
        args = (self._groups[0], shapes, inputs, *call_bounds(0, 1))
        self._program = executables.get(function, *args, often_run=True)
        seconds = executables.store.program(function, *args).seconds
        self.compile_seconds = multihost.broadcast_float(seconds)

    def load(
        self, states: Sequence[MemberState], sums: Sequence[Metrics] | None = None
    ) -> None:
        """Puts the members' states on the devices that train them.

        Args:
            states: states of the members, in the stage's order; copied.
            sums: metrics of each member added up over the steps that are done of an
                unfinished epoch; None for zero.
        """
        self._groups = []
        for i in range(0, len(states), self._size):
            of_group = self._fill(states[i : i + self._size])
            group = self._executables.get(new_group, of_group)(of_group)
            if sums is not None:
                own = stack(self._fill(sums[i : i + self._size]))
                like = zip(own, group.sums, strict=True)
                own = Metrics(*(value.astype(zero.dtype) for value, zero in like))
                group = group._replace(sums=own)
            self._groups.append(put(group, self._placement.by_member))

    def run_epoch(
        self,
        epoch: int,
        active: Sequence[bool],
        advance: Callable[[float], None] = lambda share: None,
        *,
        first: int = 0,
        rate_shares: Sequence[float] | None = None,
        pause: Callable[[int, float], None] = lambda steps, seconds: None,
    ) -> float:
        """Trains the active members for an epoch, or for what is left of it.

        Args:
            epoch: number of the epoch, from 0.
            active: true for each member that trains, in the stage's order; the others
                are left as they were.
            advance: a function that is given, after each call, the share of the
                epoch's work that the call did, as a fraction.
            first: number of steps of the epoch that are done already.
            rate_shares: factor on the learning rate of each member; None for 1.
            pause: a function that is called between two calls, when all active members
                have done the same steps, with the number of these steps and the
                seconds so far; may raise to stop.

        Returns:
            The seconds of training, without those spent on compiling or in `pause`.
        """
        busy = [i for i in range(len(self._groups)) if any(self._own(i, active))]
        inputs = [self._inputs(epoch, i, active, rate_shares) for i in busy]
        if not first:
            for i in busy:
                sums = put(self._zero, self._placement.by_member)
                self._groups[i] = self._groups[i]._replace(sums=sums)
        paused, started = 0.0, time.perf_counter()  # waiting for images is training
        with contextlib.closing(self._chunks.of_epoch(epoch, first)) as chunks:
            for begin, last, data in chunks:
                done = max(begin, first)
                while done < last:
                    stop = min(done + self._call_steps, last)
                    for i, own in zip(busy, inputs, strict=True):
                        spent = self._call(i, data, own, done, stop)
                        advance((stop - done) / self.steps_per_epoch / len(busy))
                    self._call_steps = max(
                        1, round(_CALL_SECONDS * (stop - done) / spent)
                    )
                    done = stop
                    if done < self.steps_per_epoch:
                        now = time.perf_counter()
                        pause(done, now - started - paused)
                        paused += time.perf_counter() - now
        return time.perf_counter() - started - paused

    def estimate_statistics(self) -> None:
        """Gives the running averages batch statistics of their own.

        They are means over the first batches of the epoch after the last, which are
        drawn as in training.
        """
        recipe = self._stage.recipe
        epoch, steps = recipe.epochs, statistics_steps(recipe, self._task)
        function = make_statistics(**self._of_program)
        for i, group in enumerate(self._groups):
            average = group.members.average
            state = {
                "params": average["params"],
                "sums": jax.tree.map(jnp.zeros_like, average["batch_stats"]),
            }
            inputs = self._inputs(epoch, i, [True] * len(self._stage.members), None)
            if self._stage.spec.coupling.tied:  # what members share stays the same
                inputs = jax.tree.map(
                    lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), inputs
                )
            with contextlib.closing(self._chunks.of_epoch(epoch)) as chunks:
                for begin, last, data in chunks:
                    data = data._replace(**self._beside_images)
                    args = (state, data, inputs)
                    args += call_bounds(begin, min(last, steps))
                    state = self._executables.get(function, *args)(*args)
                    if last >= steps:
                        break  # of a stream, no more is read
            stats = jax.tree.map(lambda total: total / steps, state["sums"])
            members = group.members._replace(
                average={"params": average["params"], "batch_stats": stats}
            )
            self._groups[i] = jax.block_until_ready(group._replace(members=members))

    def seconds_per_step(self, call_seconds: float = 0.0) -> float:
        """Times a few steps, which train the members.

        Args:
            call_seconds: seconds that each of the timed calls should last, as far as
                an epoch has steps for it; 0 for calls of a few steps.

        Returns:
            The median seconds of a step of all members.
        """
        inputs = self._inputs(0, 0, [True] * len(self._stage.members), None)
        with contextlib.closing(self._chunks.of_epoch(0)) as chunks:
            _, last, data = next(chunks)
        self._call(0, data, inputs, 0, 1)  # the first call of a program is slower
        stop = min(_TRIAL_STEPS, last)
        if call_seconds:
            once = self._call(0, data, inputs, 0, 1)
            stop = min(max(1, round(call_seconds / once)), last)
        times = [self._call(0, data, inputs, 0, stop) / stop for _ in range(_TRIALS)]
        return float(np.median(times)) * len(self._groups)

    def memory_bytes(self) -> int | None:
        """Bytes that a device holds in a step with all members, as the compiler counts.

        None where the compiler does not count.
        """
        program = self._program.memory_analysis()  # type: ignore[attr-defined]
        if program is None:
            return None
        sizes = [getattr(program, f"{name}_size_in_bytes") for name in _IN_MEMORY]
        waiting = sum(
            leaf.nbytes for group in self._groups[1:] for leaf in jax.tree.leaves(group)
        )
        return sum(sizes) - program.alias_size_in_bytes + waiting

    def sums(self) -> list[Metrics]:
        """Each member's metrics, added up over the steps of its last epoch."""
        return [
            jax.tree.map(float, member)
            for group in fetch([group.sums for group in self._groups])
            for member in unstack(group, self._size)
        ]

    def metrics(self) -> list[Metrics]:
        """Each member's mean metrics over the steps of its last epoch."""
        return [
            Metrics(*(value / self.steps_per_epoch for value in member))
            for member in self.sums()
        ]

    def mean_rate(self, epoch: int) -> float:
        """The mean learning rate of an epoch, without the members' factors on it."""
        return float(self._rates[epoch].mean())

    def states(self) -> dict[str, MemberState]:
        """The members' present states, by name, on the first of this host's devices."""
        stacked = [group.members for group in self._groups]
        if self._placement.mesh is None:
            apart = self._executables.get(take_apart, stacked[0])
            each = [state for group in stacked for state in apart(group)]
        else:
            own = self._placement.by_member.addressable_devices
            first = min(own, key=lambda device: device.id)
            fetched = fetch(stacked)
            each = [s for group in fetched for s in unstack(group, self._size)]
            each = jax.device_put(each, first)
        return dict(zip(self._stage.members, each, strict=True))

    def _call(
        self,
        group: int,
        data: TrainingData,
        inputs: EpochInputs,
        first: int,
        stop: int,
    ) -> float:
        """Runs some steps of a group; returns the seconds that they took.

        The seconds are those of the first host on all hosts, as the number of steps of
        the next call depends on them.
        """
        started = time.perf_counter()
        data = data._replace(**self._beside_images)
        state = self._program(
            self._groups[group], data, inputs, *call_bounds(first, stop)
        )
        self._groups[group] = jax.block_until_ready(state)
        return multihost.broadcast_float(time.perf_counter() - started)

    def _inputs(
        self,
        epoch: int,
        group: int,
        active: Sequence[bool],
        rate_shares: Sequence[float] | None,
    ) -> EpochInputs:
        """Draws the inputs of a group's steps in an epoch."""
        own, average = self._own(group, active), self._average_weights
        # No rate is read after the last epoch, where statistics are estimated.
        of_recipe = min(epoch, len(self._rates) - 1)
        shares = self._own(group, rate_shares or [1.0] * len(active))
        shares = np.asarray(self._fill(shares), np.float32)
        copies = [False] * (len(shares) - len(own))
        rates = member_rates(
            self._stage.recipe,
            (shares[:, None] * self._rates[of_recipe]).astype(np.float32),
            np.asarray([*own, *copies]),
            None if average is None else average[of_recipe],
        )
        args = (self._group_keys[group], np.asarray(epoch, np.int32), rates)
        if self._draw is None:
            draw = epoch_inputs_of(self._stage, self._task)
            self._draw = self._executables.get(draw, *args)
        inputs = self._draw(*args)
        inputs = inputs._replace(indices=self._chunks.indices(inputs.indices))
        if self._placement.mesh is None:
            return inputs
        return put(inputs, self._placement.by_member)

    def _own(self, group: int, of_members: Sequence) -> Sequence:
        """A group's part of a sequence with one entry for each member."""
        return of_members[group * self._size : (group + 1) * self._size]

    def _fill(self, of_members: Sequence) -> list:
        """Repeats the last entry until all devices have equally many.

        The copies never train.
        """
        missing = -len(of_members) % self._placement.slots
        return [*of_members, *[of_members[-1]] * missing]
