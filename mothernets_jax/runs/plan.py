"""Describe and print a run's plan: clusters, inheritance, stages and FLOPs; no JAX."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mothernets_jax.architectures import Architecture, named_units
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.data.statistics import class_counts
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.growth.mothernet import matched_units, obstacle
from mothernets_jax.methods.hatched_recipes import mothernet_name
from mothernets_jax.metrics.class_balance import class_remarks
from mothernets_jax.runs.planned_stages import (
    PlannedStage,
    costs,
    remarks_on_costs,
    stages_table,
)
from mothernets_jax.stages.amounts import TaskData


def growth(mother: Architecture, member: Architecture) -> dict[str, int]:
    """Counts the member's layers by the way in which they grow from the MotherNet's.

    Returns:
        Numbers of `widened_layers`, `enlarged_filters` (a layer may be both),
        `inserted_layers` and `unchanged_layers`.
    """
    matches = matched_units(mother, member)
    mother_units = dict(named_units(mother))
    counts: dict[str, int] = dict.fromkeys(
        ("widened_layers", "enlarged_filters", "inserted_layers", "unchanged_layers"), 0
    )
    for name, unit in named_units(member):
        if name not in matches:
            counts["inserted_layers"] += 1
            continue
        source = mother_units[matches[name].unit]
        sizes = [getattr(u, "filter_size", 1) for u in (unit, source)]
        counts["widened_layers"] += unit.width > source.width
        counts["enlarged_filters"] += sizes[0] > sizes[1]
        counts["unchanged_layers"] += unit == source
    return counts


def describe_clusters(
    clusters: Sequence[Cluster], members: Mapping[str, Architecture], task: TaskData
) -> dict[str, Any]:
    """Clusters, their MotherNets and what each member inherits, as plain values."""

    def size(architecture: Architecture) -> int:
        return num_params(architecture, task.input_shape, task.num_classes)

    described = [
        {
            "name": mothernet_name(number),
            "architecture": str(found.mothernet),
            "parameters": size(found.mothernet),
            "members": [
                {
                    "name": name,
                    "architecture": str(members[name]),
                    "parameters": size(members[name]),
                    "inherited_share": size(found.mothernet) / size(members[name]),
                    **growth(found.mothernet, members[name]),
                }
                for name in found.members
            ],
        }
        for number, found in enumerate(clusters, start=1)
    ]
    reused = sum((len(c["members"]) - 1) * c["parameters"] for c in described)
    return {
        "num_clusters": len(described),
        "reused_parameters": reused,
        "apart": _apart(
            {mothernet_name(n): c.mothernet for n, c in enumerate(clusters, 1)}
        ),
        "clusters": described,
    }


def _apart(mothernets: Mapping[str, Architecture]) -> list[str]:
    """Reasons why clusters could not be merged, a sentence for each pair of kinds."""
    kinds: list[list[str]] = []
    for name, mothernet in mothernets.items():
        for kind in kinds:
            if not obstacle(mothernets[kind[0]], mothernet):
                kind.append(name)
                break
        else:
            kinds.append([name])
    return [
        f"No growth connects {', '.join(one)} with {', '.join(other)}: "
        f"{obstacle(mothernets[one[0]], mothernets[other[0]])}."
        for one, other in itertools.combinations(kinds, 2)
    ]


def print_plan(
    console: Console,
    clusters: Mapping[str, Any],
    stages: Mapping[str, Sequence[PlannedStage]],
    task: TaskData,
    *,
    noise: float,
    budget: float | None,
    limit: str = "",
) -> None:
    """Prints a run's clusters, stages and FLOPs.

    Args:
        console: the console to print to.
        clusters: the description from `describe_clusters`.
        stages: each method's stages, by method.
        task: the task with the data set.
        noise: standard deviation of the noise after hatching, for the remark on
            members that would otherwise begin as equals.
        budget: training FLOPs that each method may spend; None without one.
        limit: the budget as text where its epochs are not known yet.
    """
    for note in task.dataset.notes:
        console.print(f"data: {note}\n", soft_wrap=True, highlight=False, markup=False)
    for sentence in remarks_on_classes(task):
        console.print(Text(sentence + "\n", style="yellow"))
    number = clusters["num_clusters"]
    if number:
        console.print(
            f"{number} cluster{'s' if number > 1 else ''}, so chosen that the most "
            f"parameters are reused: {clusters['reused_parameters']:,} (the sum of "
            "(members - 1) x parameters of the MotherNet)\n",
            highlight=False,
        )
    for sentence in clusters["apart"]:
        console.print(sentence + "\n", highlight=False)
    for cluster in clusters["clusters"]:
        console.print(_cluster_table(cluster))
        console.print(_remark_on_equals(cluster, noise))
    console.print(stages_table(stages))
    console.print(costs(stages, budget))
    if limit:
        sentence = (
            f"The budget of {limit} becomes epochs when the run begins, by timing a "
            "few steps; until then the plan is the one without a budget. "
            "`mothernets plan --measure` times them now."
        )
        console.print(Text(sentence, style="yellow"))
    for sentence in remarks_on_costs(stages):
        console.print(Text(sentence, style="yellow"))


def remarks_on_classes(task: TaskData) -> list[str]:
    """Sentences on classes of unequal size or without images; empty if all is well."""
    return class_remarks(task.dataset.class_names, class_counts(task.dataset))


def _cluster_table(cluster: Mapping[str, Any]) -> Table:
    """Table of what a cluster's members inherit, a row for each architecture."""
    table = Table(
        title=f"{cluster['name']}: {cluster['parameters']:,} parameters\n"
        f"{cluster['architecture']}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("members", overflow="fold")
    for heading in (
        "parameters",
        "inherited",
        "widened",
        "enlarged",
        "inserted",
        "as is",
    ):
        table.add_column(heading, justify="right")
    rows: dict[str, dict[str, Any]] = {}
    for member in cluster["members"]:
        row = rows.setdefault(member["architecture"], {**member, "names": []})
        row["names"].append(member["name"])
    for row in rows.values():
        table.add_row(
            ", ".join(row["names"]),
            f"{row['parameters']:,}",
            f"{row['inherited_share']:.0%}",
            str(row["widened_layers"]),
            str(row["enlarged_filters"]),
            str(row["inserted_layers"]),
            str(row["unchanged_layers"]),
        )
    notations = "\n".join(f"{', '.join(r['names'])}: {n}" for n, r in rows.items())
    table.caption = notations
    table.caption_justify = "left"
    return table


def _remark_on_equals(cluster: Mapping[str, Any], noise: float) -> Text:
    """Remark on members that begin as the same network; empty if there are none."""
    by_shape: dict[str, list[str]] = {}
    for member in cluster["members"]:
        if not member["widened_layers"]:
            by_shape.setdefault(member["architecture"], []).append(member["name"])
    equals = [", ".join(names) for names in by_shape.values() if len(names) > 1]
    if not equals:
        return Text("")
    parted = "noise, data order and augmentation" if noise else "data order and crops"
    return Text(
        f"No layer of {' / '.join(equals)} widens, so these begin as the same network; "
        f"only {parted} part them.\n",
        style="yellow",
    )
