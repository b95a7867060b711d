"""Run a stage: compile what it needs beforehand, then train it to its end."""

from collections.abc import Callable, Mapping

from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.runtime.progress import RunProgress
from mothernets_jax.stages.autosave import StageAutosave
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.stage_run import StageResult, StageRun
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import Task
from mothernets_jax.training.member_step import MemberState


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
    work: StageAutosave,
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
