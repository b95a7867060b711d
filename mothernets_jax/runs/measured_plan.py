"""What was measured before a run, as its plan shows it."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from mothernets_jax.config.settings import Settings
from mothernets_jax.runs.measure import (
    Measurement,
    dollars,
    method_seconds,
    stage_seconds,
)
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task


def print_measurement(
    console: Console,
    measured: Measurement,
    plans: Mapping[str, MethodPlan],
    task: Task,
    settings: Settings,
) -> None:
    """Prints the minutes, dollars and bytes that a run will take.

    Args:
        console: the console to print on.
        measured: the times of all stages' programs.
        plans: the methods' stages and members.
        task: the task, with the images and devices.
        settings: the run's settings, with the prices of devices.
    """
    table = Table(title="measured", title_justify="left", title_style="bold")
    table.add_column("stage", overflow="fold")
    for heading in ("strategy", "a step", "all epochs", "memory a device"):
        table.add_column(heading, justify="right")
    for plan in plans.values():
        for stage in plan.stages:
            timing = measured.stages[stage.name]
            table.add_row(
                stage.name,
                timing.strategy,
                f"{1e3 * timing.step_seconds:.3g} ms",
                f"{stage_seconds(stage, timing, task) / 60:.3g} min",
                _mebibytes(timing.peak_bytes),
            )
        table.add_section()
    console.print(table)
    compiling = measured.compile_seconds / 60
    for method, plan in plans.items():
        seconds = method_seconds(plan, measured.stages, task)
        price = dollars(seconds, task, settings.prices)
        paid = "no price known" if price is None else f"${price:.2g}"
        console.print(f"{method}: {seconds / 60:.3g} minutes, {paid}", highlight=False)
    console.print(
        f"compiling: {compiling:.3g} minutes, for all methods together, unless the "
        "programs are in the cache; times are those of this machine as it is now",
        highlight=False,
    )


def _mebibytes(size: int | None) -> str:
    """A number of bytes as text in MiB.

    >>> _mebibytes(3 * 2**19), _mebibytes(3 * 2**30), _mebibytes(None)
    ('1.5 MiB', '3,072 MiB', 'unknown')
    """
    if size is None:
        return "unknown"
    return f"{size / 2**20:,.{0 if size > 10 * 2**20 else 1}f} MiB"
