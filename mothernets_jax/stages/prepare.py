"""Compilation of a stage's programs in the background, before its turn comes."""

from typing import Any

import jax
import numpy as np

from mothernets_jax.ensembles.prediction import prepare_prediction
from mothernets_jax.models.variables import Variables, abstract_variables
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages.batches import make_chunks
from mothernets_jax.stages.inputs import (
    call_bounds,
    class_weights,
    epoch_inputs_of,
    member_rates,
)
from mothernets_jax.stages.stage import Stage, strategy_without_trial
from mothernets_jax.stages.task import Task, steps_per_epoch
from mothernets_jax.training.epoch_inputs import MemberKeys
from mothernets_jax.training.group_step import make_steps, new_group, take_apart
from mothernets_jax.training.member_step import blank_state
from mothernets_jax.training.sharding import place
from mothernets_jax.training.statistics import make_statistics


def prepare_stage(stage: Stage, task: Task, strategy: str, store: ProgramStore) -> None:
    """Begins to compile what `run_stage` will use, if there is a single device."""
    if len(task.devices) > 1:
        return  # which devices it will have is not known yet
    stage.prepare(store)
    variables = abstract_variables(
        stage.architecture, task.input_shape, task.num_classes
    )
    prepare_training(stage, task, variables, strategy, store)
    prepare_prediction(
        stage.architecture,
        variables,
        task.input_shape,
        task.evaluation_batch,
        store,
        dtype=task.dataset.input_dtype,
    )


def prepare_training(
    stage: Stage, task: Task, variables: Variables, strategy: str, store: ProgramStore
) -> None:
    """Compiles in the background what a `GroupTrainer` will use on one device.

    Args:
        stage: the stage that will be trained.
        task: the images, and the devices, of which the first is prepared for.
        variables: shapes and dtypes of one member's variables.
        strategy: `auto` or one of `group_step.STRATEGIES`; `auto` begins with the
            program of a single member.
        store: the compiled programs, to which these are added.
    """
    strategy = strategy_without_trial(strategy, stage) or "loop"
    members = 1 if strategy == "loop" else len(stage.members)
    steps = steps_per_epoch(stage.recipe, task)
    key: Any = jax.ShapeDtypeStruct((members,), task.key.dtype)
    keys, epoch = MemberKeys(key, key, key), np.asarray(0, np.int32)
    average = np.zeros(steps, np.float32) if stage.spec.averaged else None
    zero_rates = np.zeros((members, steps), np.float32)
    rates = member_rates(stage.recipe, zero_rates, np.ones(members, bool), average)
    draw = epoch_inputs_of(stage, task)
    store.prepare(draw, keys, epoch, rates)
    inputs = jax.eval_shape(draw, keys, epoch, rates)
    of_member = jax.eval_shape(lambda v: blank_state(v, stage.spec), variables)
    states = [of_member] * members
    store.prepare(new_group, states)
    state = jax.eval_shape(new_group, states)
    store.prepare(take_apart, state.members)
    placement = place(task.devices[:1], members, stage.recipe.batch_size)
    data = make_chunks(stage, task, placement).shapes
    data = data._replace(class_weights=class_weights(stage.recipe, task))
    of_task = task.input_shape, task.num_classes
    references = stage.spec.loss.references
    data = data._replace(
        references=tuple(abstract_variables(own, *of_task) for own in references)
    )
    divided = task.dataset.streamed
    function = make_steps(stage.spec, strategy, divided_data=divided)
    store.prepare(function, state, data, inputs, *call_bounds(0, 1), often_run=True)
    if stage.spec.averaged:
        average = state.members.average
        of_average = {"params": average["params"], "sums": average["batch_stats"]}
        function = make_statistics(stage.spec, strategy, divided_data=divided)
        store.prepare(function, of_average, data, inputs, *call_bounds(0, 1))
