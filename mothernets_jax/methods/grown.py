"""A method's plan after its run was finished: members and epochs that were added.

The stages that there were stay as they are; each change adds stages, which begin at
networks that are trained already, or takes members out of the ensemble.
"""

import dataclasses
from collections.abc import Iterable

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.architectures.grouping import same_architecture
from mothernets_jax.config.grown import (
    Added,
    Change,
    Distilled,
    Dropped,
    Longer,
    changes,
)
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.growth.mothernet import matched_units
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.methods.hatched_recipes import mothernet_name
from mothernets_jax.methods.hatched_start import Parent
from mothernets_jax.methods.mothernets import members_stage, mother_stage
from mothernets_jax.methods.scratch import continue_from, scratch_stage
from mothernets_jax.stages.stage import MethodPlan, Stage
from mothernets_jax.stages.task import Task, step_spec

# Of the members' largest rate, to which that of further epochs rises again. On the
# digits' validation split it was better than 0.3, 0.1 and 0.03, for a distilled member
# better than 0.3: docs/growing.md.
_PEAK = 1.0
_Networks = Iterable[tuple[str, Architecture]]


def grown_plan(
    method: str, plan: MethodPlan, task: Task, settings: Settings
) -> MethodPlan:
    """A method's plan with the changes of `settings.grown`, one after another.

    Args:
        method: name of the method, one of `config.grown.GROWABLE`.
        plan: its plan without any change.
        task: the task that the networks are trained on.
        settings: the run's settings.

    Raises:
        ValueError: a change that cannot be made.
    """
    grower = _Grower(method, task, settings, plan)
    for change in changes(settings):
        plan = grower.changed(plan, change)
    return plan


class _Grower:
    """What all changes of one method share."""

    def __init__(self, method: str, task: Task, settings: Settings, plan: MethodPlan):
        """Notes the recipes of the plan without any change."""
        self._method, self._task, self._settings = method, task, settings
        self._recipe = plan.stages[-1].recipe
        # Of MotherNets that are added, from scratch; where the first one was saved, its
        # stage is that of training on, and no budget is divided anew.
        begun = settings.mother.init
        self._mother_recipe = settings.mother_recipe if begun else plan.stages[0].recipe

    def changed(self, plan: MethodPlan, change: Change) -> MethodPlan:
        """The plan after one more change."""
        if isinstance(change, Dropped):
            left = {n: own for n, own in plan.members.items() if n != change.network}
            how = f"{change.network} was dropped; what it cost is counted"
            return _noted(plan._replace(members=left), change, [change.network], how)
        if isinstance(change, Longer):
            return self._longer(plan, change)
        if isinstance(change, Distilled):
            return self._distilled(plan, change)
        for architecture, names in same_architecture(
            change.members, change.members
        ).items():
            plan = self._added(plan, change, architecture, names)
        return plan

    def _added(
        self,
        plan: MethodPlan,
        change: Added,
        architecture: Architecture,
        names: tuple[str, ...],
    ) -> MethodPlan:
        """The plan with new members of one architecture."""
        members = plan.members | dict.fromkeys(names, architecture)
        if plan.clusters:
            plan, how = self._hatched(plan, architecture, names)
        else:
            stage = scratch_stage(
                self._method,
                self._task,
                architecture,
                names,
                self._recipe,
                with_replacement=plan.stages[0].with_replacement,
            )
            plan = plan._replace(stages=(*plan.stages, stage))
            how = "trained from scratch"
        sentence = f"{_listed(names)} {how}"
        return _noted(plan._replace(members=members), change, names, sentence)

    def _hatched(
        self, plan: MethodPlan, architecture: Architecture, names: tuple[str, ...]
    ) -> tuple[MethodPlan, str]:
        """The plan with hatched members, and from what, in words."""
        mothers = {mothernet_name(n): c for n, c in enumerate(plan.clusters, start=1)}
        stages = list(plan.stages)
        found = self._largest(
            ((name, own.mothernet) for name, own in mothers.items()), architecture
        )
        how = f"hatched from {found}, a MotherNet that was trained already"
        if found is None:
            found = self._largest(
                ((name, s.architecture) for s in stages for name in s.members),
                architecture,
            )
            how = (
                f"hatched from {found}, the largest trained network that grows into "
                "them, as no MotherNet does"
            )
        if found is None:
            found = mothernet_name(len(mothers) + 1)
            args = self._method, self._task, self._settings, found
            stages.append(mother_stage(*args, architecture, self._mother_recipe))
            mothers[found] = Cluster(architecture, ())
            how = f"hatched from {found}, new, as no trained network grows into them"
        of_stage = {name: s.architecture for s in stages for name in s.members}
        cluster = mothers.get(found)
        siblings = () if cluster is None else cluster.members
        of_parent = {name: of_stage[name] for name in siblings}
        of_parent |= dict.fromkeys(names, architecture)
        parent = Parent(found, of_stage[found], of_parent)
        args = self._method, self._task, self._settings, parent
        stages.append(members_stage(*args, architecture, names, self._recipe))
        if cluster is not None:
            joined = (*cluster.members, *names)
            mothers[found] = dataclasses.replace(cluster, members=joined)
        clusters = tuple(mothers.values())
        return plan._replace(stages=tuple(stages), clusters=clusters), how

    def _largest(self, networks: _Networks, member: Architecture) -> str | None:
        """The network with the most parameters that the member can be hatched from.

        Of several, the first; None where there is none.
        """
        sizes = {
            name: self._size(own)
            for name, own in networks
            if self._can_hatch(own, member)
        }
        return max(sizes, key=lambda name: sizes[name], default=None)

    def _can_hatch(self, mother: Architecture, member: Architecture) -> bool:
        least = (self._settings.min_shared or 0.0) * self._size(member)
        if self._size(mother) < least:
            return False
        try:
            matched_units(mother, member)
        except ValueError:
            return False
        return True

    def _size(self, architecture: Architecture) -> int:
        return num_params(architecture, self._task.input_shape, self._task.num_classes)

    def _longer(self, plan: MethodPlan, change: Longer) -> MethodPlan:
        """The plan with further epochs of every member."""
        recipe = self._one_cycle(change.epochs)
        of_network = {name: stage for stage in plan.stages for name in stage.members}
        # One each, so that a network that was left out takes no other with it.
        stages = [
            _continued(of_network[earlier], recipe, earlier, name)
            for name, earlier in change.networks.items()
        ]
        plan = plan._replace(
            stages=(*plan.stages, *stages),
            members={name: plan.members[e] for name, e in change.networks.items()},
            continues={**plan.continues, **change.networks},
        )
        how = (
            f"every member went on for {change.epochs} epochs from its final state, "
            f"{_cycle_in_words(recipe)}"
        )
        return _noted(plan, change, change.networks, how)

    def _distilled(self, plan: MethodPlan, change: Distilled) -> MethodPlan:
        """The plan with one member, which goes on taught by all that there were."""
        recipe = self._one_cycle(change.epochs)
        student = change.student
        architecture, teachers = plan.members[change.network], tuple(plan.members)
        own = self._settings.distillation
        loss = DistillationLoss(
            tuple(plan.members.values()), own.temperature, own.share
        )
        stage = Stage(
            self._method,
            student,
            (student,),
            recipe,
            step_spec(self._task, architecture, recipe=recipe, loss=loss),
            continue_from(change.network, student),
            teachers,
            references=teachers,
        )
        plan = plan._replace(
            stages=(*plan.stages, stage),
            members={student: architecture},
            continues={**plan.continues, student: change.network},
        )
        how = (
            f"the ensemble of {len(teachers)} members was distilled into one of them: "
            f"{student} is {change.network}, which the mean of all members' "
            f"probabilities (at temperature {own.temperature:g}, {own.share:g} of the "
            f"loss) taught for {change.epochs} epochs more, "
            f"{_cycle_in_words(recipe)}; it is the ensemble now, and "
            "what the others cost is counted"
        )
        return _noted(plan, change, (student,), how)

    def _one_cycle(self, epochs: int) -> Recipe:
        """The recipe of networks that go on from their final states."""
        return dataclasses.replace(
            self._recipe,
            epochs=epochs,
            learning_rate=_PEAK * self._recipe.learning_rate,
            schedule="one_cycle",
            warmup_epochs=0.0,
            stop="epochs",
        )


def _continued(stage: Stage, recipe: Recipe, earlier: str, name: str) -> Stage:
    """The stage in which a network of an earlier stage goes on under another name."""
    return Stage(
        stage.method,
        name,
        (name,),
        recipe,
        stage.spec,
        continue_from(earlier, name),
        (earlier, *stage.references),
        references=stage.references,
    )


def _cycle_in_words(recipe: Recipe) -> str:
    return (
        f"in one cycle whose rate rises to {recipe.learning_rate:g}, {_PEAK:.0%} of "
        "the largest before, within a tenth of the steps, and falls to a millionth of "
        "it"
    )


def _noted(
    plan: MethodPlan, change: Change, names: Iterable[str], how: str
) -> MethodPlan:
    note = {"change": change.text, "members": list(names), "how": how}
    return plan._replace(grown=(*plan.grown, note))


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names)} {'was' if len(names) == 1 else 'were'}"
