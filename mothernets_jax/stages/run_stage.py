"""Run a stage: compile what it needs beforehand, then train it to its end."""

from collections.abc import Callable, Mapping

from mothernets_jax.ensembles.prediction import prepare_prediction
from mothernets_jax.models.models import abstract_variables
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.runtime.progress import RunProgress
from mothernets_jax.stages.autosave import UnfinishedWork
from mothernets_jax.stages.stage import Stage, Task
from mothernets_jax.stages.stage_run import StageResult, StageRun
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.trainer import prepare_training
from mothernets_jax.training.member_step import MemberState


def prepare_stage(stage: Stage, task: Task, strategy: str, store: ProgramStore) -> None:
    """Compiles in the background what `run_stage` will use on a single device."""
    if len(task.devices) > 1:
        return  # which devices it will have is not known yet
    stage.prepare(store)
    variables = abstract_variables(
        stage.architecture, task.input_shape, task.num_classes
    )
    prepare_training(stage, task, variables, strategy, store)
    prepare_prediction(
        stage.architecture, variables, task.input_shape, task.evaluation_batch, store
    )


def run_stage(
    stage: Stage,
    task: Task,
    trained: Mapping[str, MemberState],
    *,
    strategy: str,
    memory: StrategyMemory,
    executables: Executables,
    progress: RunProgress,
    log: Callable[..., None],
    work: UnfinishedWork,
    interruption: Interruption,
) -> StageResult:
    """Trains a stage's members to the end of their recipe.

    From their start, or from where an interrupted run has saved them: the results are
    the same, bit for bit.

    Args:
        stage: what to train.
        task: on what.
        trained: states in which earlier stages left their networks.
        strategy: `auto` or one of `group_step.STRATEGIES`.
        memory: the run's choices of strategies.
        executables: compiled programs; its meter counts this stage's alone.
        progress: told of every epoch.
        log: called with the metrics of each member's epoch as keyword arguments.
        work: where unfinished work is saved.
        interruption: tells when to stop.

    Raises:
        InterruptedRunError: told to stop; what was trained is saved.
    """
    run = StageRun(stage, task, executables, progress, log, work, interruption)
    run.begin(trained, strategy, memory)
    while run.train_epoch():
        pass
    return run.result()
