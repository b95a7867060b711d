"""A method's stages as the jobs of a schedule."""

from collections.abc import Callable, Sequence

from mothernets_jax.runs.schedule import Job
from mothernets_jax.stages.stage import Stage


def stage_jobs(stages: Sequence[Stage], work_of: Callable[[Stage], float]) -> list[Job]:
    """Turns each stage into a job that needs those that train what it goes on from.

    Args:
        stages: all stages of a method, in the order of their training.
        work_of: a function from a stage to its duration on one device, in any unit.
    """
    maker = {name: stage.name for stage in stages for name in stage.members}
    return [
        Job(
            stage.name,
            work_of(stage),
            tuple(dict.fromkeys(maker[name] for name in stage.needs)),
        )
        for stage in stages
    ]
