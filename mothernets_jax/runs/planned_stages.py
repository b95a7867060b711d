"""The stages that a run will have, as a plan shows them: epochs, FLOPs, what pays."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text


class PlannedStage(NamedTuple):
    """A stage, as the plan shows it.

    Attributes:
        name: name of the stage.
        members: names of the networks that it trains.
        strategy: how they are stepped together; `timed` where a trial decides.
        epochs: number of epochs of each.
        flops: training FLOPs of all, if none stops early.
        mother: name of the MotherNet that they are hatched from; empty for none.
        scratch_flops: training FLOPs that hatched networks would take from scratch, by
            their MotherNet's recipe; 0 for others.
    """

    name: str
    members: tuple[str, ...]
    strategy: str
    epochs: int
    flops: float
    mother: str = ""
    scratch_flops: float = 0.0


Plans = Mapping[str, Sequence[PlannedStage]]  # by method


def stages_table(plans: Plans) -> Table:
    """Table of all stages, a row for each."""
    table = Table(title="stages", title_justify="left", title_style="bold")
    for heading in ("method", "stepped together"):
        table.add_column(heading, overflow="fold")
    table.add_column("strategy")
    for heading in ("epochs", "training FLOPs"):
        table.add_column(heading, justify="right")
    for method, stages in plans.items():
        for stage in stages:
            table.add_row(
                method,
                ", ".join(stage.members),
                stage.strategy,
                str(stage.epochs),
                f"{stage.flops:.2e}",
            )
        table.add_section()
    return table


def costs(plans: Plans, budget: float | None) -> Group:
    """Each method's FLOPs, against its budget or its members' training from scratch.

    Args:
        plans: the stages of each method.
        budget: training FLOPs that each method may spend; None without one.
    """
    lines = []
    for method, stages in plans.items():
        flops = sum(stage.flops for stage in stages)
        scratch = sum(stage.scratch_flops for stage in stages)
        lines.append(Text(f"{method}: {flops:.2e} training FLOPs", style="bold"))
        if budget:  # in whole epochs, so that some of it is left
            lines[-1].append(f", {flops / budget:.0%} of the budget")
        elif scratch:
            lines[-1].append(
                f", {flops / scratch:.0%} of training every member from scratch "
                f"({scratch:.2e})"
            )
    return Group(*lines)


def remarks_on_costs(plans: Plans) -> list[str]:
    """Sentences on MotherNets that cost more than they save; empty if all pay.

    A MotherNet saves what its members would take from scratch, by its own recipe, more
    than they take after hatching.
    """
    remarks = []
    for stages in plans.values():
        for mother in dict.fromkeys(stage.mother for stage in stages if stage.mother):
            hatched = [stage for stage in stages if stage.mother == mother]
            cost = sum(stage.flops for stage in stages if stage.members == (mother,))
            saved = sum(stage.scratch_flops - stage.flops for stage in hatched)
            if cost > saved:
                number = sum(len(stage.members) for stage in hatched)
                whom = "its member" if number == 1 else f"its {number} members"
                remarks.append(
                    f"{mother} costs more than it saves: training it takes {cost:.2e} "
                    f"training FLOPs, hatching saves {max(0.0, saved):.2e} of those "
                    f"that {whom} would take from scratch by the same recipe. Lower "
                    "config.hatch.epochs, give it more members, or train from scratch "
                    "(config.methods, full_data)."
                )
    return remarks
