"""The moving parts of a stage: its members' states and the program that trains them."""

import contextlib
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.models.models import Variables, abstract_variables
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.batches import make_chunks
from mothernets_jax.stages.stage import (
    Stage,
    Task,
    class_weights,
    settled,
    stage_rates,
    steps_per_epoch,
)
from mothernets_jax.training import group_step
from mothernets_jax.training.augment import Sides
from mothernets_jax.training.group_step import StepsInputs
from mothernets_jax.training.member_step import (
    MemberState,
    Metrics,
    TrainingData,
    new_state,
)
from mothernets_jax.training.sharding import fetch, place, put
from mothernets_jax.utils.pytrees import named_key, stack, unstack

# A call trains for about so long, after which progress is shown.
_CALL_SECONDS = 1.0
_TRIALS, _TRIAL_STEPS = 3, 3
# What a program needs, as the compiler names it.
_IN_MEMORY = ("argument", "output", "temp", "generated_code")


class GroupTrainer:
    """Trains the members of a stage by one strategy, an epoch at a time.

    With `loop` every member is a group of its own, else all are one.

    Attributes:
        steps_per_epoch: batches that the training split fills.
        compile_seconds: that the program took, whenever it was compiled.
    """

    def __init__(
        self,
        stage: Stage,
        task: Task,
        states: Sequence[MemberState],
        strategy: str,
        executables: Executables,
        teacher: Variables | None = None,
        sums: Sequence[Metrics] | None = None,
    ):
        """Puts everything on the task's devices and compiles the program.

        Args:
            stage: what to train.
            task: on what, and where.
            states: where each member starts; copied.
            strategy: one of `group_step.STRATEGIES`.
            executables: compiled programs.
            teacher: the variables of the network that is distilled, if one is.
            sums: each member's metrics in an epoch that goes on; None for zero.
        """
        recipe = stage.recipe
        self.steps_per_epoch = steps_per_epoch(recipe, task)
        self._rates = stage_rates(stage, task)
        self._keys = _keys_of(stage, task, "train")
        self._side_keys = _keys_of(stage, task, "sides")
        self._bag_keys = _keys_of(stage, task, "bag")
        self._stage, self._task, self._executables = stage, task, executables
        self._size = 1 if strategy == "loop" else len(stage.members)
        rows = 1 if stage.branches_at else self._size  # branches stay with their trunk
        self._placement = place(task.devices, rows, recipe.batch_size)
        self._chunks = make_chunks(stage, task, self._placement)
        self._beside_images = put(
            {"teacher": teacher, "class_weights": class_weights(recipe, task)},
            self._placement.everywhere,
        )
        self.load(states, sums)
        self._call_steps = 1  # until it is known how long a step takes
        function = group_step.make_steps(
            stage.architecture,
            task.augmentation,
            strategy,
            task.dtype,
            self._placement.mesh,
            divided_data=task.dataset.streamed,
            distillation=stage.distillation,
            branches_at=stage.branches_at,
        )
        inputs = self._inputs(0, 0, [True] * len(states), None)
        shapes = self._chunks.shapes._replace(**self._beside_images)
        args = (self._groups[0], shapes, inputs, *_bounds(0, 1))
        self._program = executables.get(function, *args, often_run=True)
        seconds = executables.store.program(function, *args).seconds
        self.compile_seconds = multihost.first_clock(seconds)

    def load(
        self, states: Sequence[MemberState], sums: Sequence[Metrics] | None = None
    ) -> None:
        """Puts the members' states where they are trained.

        Args:
            states: each member's; copied.
            sums: each member's metrics in an epoch that goes on; None for zero.
        """
        self._groups = []
        for i in range(0, len(states), self._size):
            group = group_step.new_group(self._fill(states[i : i + self._size]))
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
            epoch: from 0.
            active: which members train; the others are left as they were.
            advance: told, after each call, which share of the epoch it was.
            first: steps of the epoch that are done already.
            rate_shares: of each member, a factor on its learning rate; None for 1.
            pause: called between calls, when all active members have done the same
                steps, with their number and the seconds so far; may raise to stop.

        Returns:
            The seconds it took, without those spent on compiling or in `pause`.
        """
        busy = [i for i in range(len(self._groups)) if any(self._own(i, active))]
        inputs = [self._inputs(epoch, i, active, rate_shares) for i in busy]
        if not first:
            for i in busy:
                self._groups[i] = group_step.without_sums(self._groups[i])
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

    def seconds_per_step(self) -> float:
        """The median time of a step of all members, over a few; they are trained."""
        inputs = self._inputs(0, 0, [True] * len(self._keys), None)
        with contextlib.closing(self._chunks.of_epoch(0)) as chunks:
            _, last, data = next(chunks)
        self._call(0, data, inputs, 0, 1)  # the first call of a program is slower
        stop = min(_TRIAL_STEPS, last)
        times = [self._call(0, data, inputs, 0, stop) / stop for _ in range(_TRIALS)]
        return float(np.median(times)) * len(self._groups)

    def memory_bytes(self) -> int | None:
        """What a device holds in a step, by the compiler's count, with all members.

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
        """Each member's means over the last epoch that it trained."""
        return [
            Metrics(*(value / self.steps_per_epoch for value in member))
            for member in self.sums()
        ]

    def mean_rate(self, epoch: int) -> float:
        """The mean learning rate of an epoch."""
        return float(self._rates[epoch].mean())

    def states(self) -> dict[str, MemberState]:
        """The members' states as they are, on the first of this host's devices."""
        groups_states = [group.members for group in self._groups]
        if self._placement.mesh is not None:
            own = self._placement.by_member.addressable_devices
            first = min(own, key=lambda device: device.id)
            groups_states = jax.device_put(fetch(groups_states), first)
        each = [s for group in groups_states for s in unstack(group, self._size)]
        return dict(zip(self._stage.members, each, strict=True))

    def _call(
        self,
        group: int,
        data: TrainingData,
        inputs: StepsInputs,
        first: int,
        stop: int,
    ) -> float:
        """Does some steps of a group; returns the seconds they took.

        How many steps the next call does depends on them: one clock for all hosts.
        """
        started = time.perf_counter()
        data = data._replace(**self._beside_images)
        state = self._program(self._groups[group], data, inputs, *_bounds(first, stop))
        self._groups[group] = jax.block_until_ready(state)
        return multihost.first_clock(time.perf_counter() - started)

    def _inputs(
        self,
        epoch: int,
        group: int,
        active: Sequence[bool],
        rate_shares: Sequence[float] | None,
    ) -> StepsInputs:
        """What a group's steps need in an epoch."""
        keys = [jax.random.fold_in(key, epoch) for key in self._own(group, self._keys)]
        args = (jnp.stack(self._fill(keys)),)
        examples = len(self._task.dataset.train_labels)
        draw = group_step.make_orders(examples, self._stage.recipe.batch_size)
        drawn, step_keys = self._executables.get(draw, *args)(*args)
        if self._stage.bags:
            bag_keys = jnp.stack(self._fill(self._own(group, self._bag_keys)))
            args = (bag_keys, drawn)
            drawn = self._executables.get(group_step.make_bags(examples), *args)(*args)
        indices = self._chunks.indices(drawn)
        members = len(step_keys)
        shares = self._own(group, rate_shares or [1.0] * len(active))
        shares = np.asarray(self._fill(shares), np.float32)
        rates = jnp.asarray(shares[:, None] * self._rates[epoch])
        recipe = self._stage.recipe
        decay = jnp.full(members, recipe.weight_decay, jnp.float32)
        smoothing = jnp.full(members, recipe.label_smoothing, jnp.float32)
        side_keys = jnp.stack(self._fill(self._own(group, self._side_keys)))
        sides = Sides(side_keys, jnp.full(members, epoch, jnp.int32))
        own = self._own(group, active)
        trains = jnp.asarray([*own, *[False] * (members - len(own))])
        inputs = StepsInputs(indices, step_keys, rates, decay, smoothing, sides, trains)
        return put(inputs, self._placement.by_member)

    def _own(self, group: int, of_members: Sequence) -> Sequence:
        """A group's part of something that each member has one of."""
        return of_members[group * self._size : (group + 1) * self._size]

    def _fill(self, of_members: Sequence) -> list:
        """Repeats the last until each device has as many; the copies never train."""
        missing = -len(of_members) % self._placement.slots
        return [*of_members, *[of_members[-1]] * missing]


def _keys_of(stage: Stage, task: Task, purpose: str) -> list[jax.Array]:
    """A key for each member."""
    return [named_key(task.key, stage.method, name, purpose) for name in stage.members]


def prepare_training(
    stage: Stage, task: Task, variables: Variables, strategy: str, store: ProgramStore
) -> None:
    """Compiles in the background what a `GroupTrainer` will use on one device.

    Args:
        stage: what will be trained.
        task: on what.
        variables: shapes of a member's.
        strategy: `auto` begins with the program of a single member.
        store: where compiled programs are kept.
    """
    batch_size, examples = stage.recipe.batch_size, len(task.dataset.train_labels)
    strategy = settled(strategy, stage) or "loop"
    members = 1 if strategy == "loop" else len(stage.members)
    keys = jax.ShapeDtypeStruct((members,), task.key.dtype)
    orders = group_step.make_orders(examples, batch_size)
    store.prepare(orders, keys)

    def arguments(variables, keys):
        state = group_step.new_group([new_state(variables)] * members)
        indices, step_keys = orders(keys)
        rates, shares = jnp.zeros(step_keys.shape), jnp.zeros(members)
        sides = Sides(keys, jnp.zeros(members, jnp.int32))
        active = jnp.ones(members, bool)
        inputs = StepsInputs(indices, step_keys, rates, shares, shares, sides, active)
        return state, inputs

    state, inputs = jax.eval_shape(arguments, variables, keys)
    placement = place(task.devices[:1], members, batch_size)
    data = make_chunks(stage, task, placement).shapes
    data = data._replace(class_weights=class_weights(stage.recipe, task))
    if stage.distillation is not None:
        of_teacher = stage.distillation.architecture, task.input_shape, task.num_classes
        data = data._replace(teacher=abstract_variables(*of_teacher))
    function = group_step.make_steps(
        stage.architecture,
        task.augmentation,
        strategy,
        task.dtype,
        divided_data=task.dataset.streamed,
        distillation=stage.distillation,
        branches_at=stage.branches_at,
    )
    store.prepare(function, state, data, inputs, *_bounds(0, 1), often_run=True)


def _bounds(first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(first, np.int32), np.asarray(stop, np.int32)
