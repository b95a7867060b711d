"""StarSSE: MotherNets whose members are all equal, the ablation of hatching itself.

One network is trained as a MotherNet is, and the members start from it as copies.

References: Sadrtdinov et al. 2023, "To Stay or Not to Stay in the Pre-train Basin:
Insights on Ensembling in Transfer Learning" (StarSSE).
"""

from collections.abc import Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.methods.budget import single_network
from mothernets_jax.methods.mothernets import hatched_ensemble
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task

NAME = "star"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """A stage for the network, then one for as many copies of it as there are members.

    The recipes and the division of a budget are those of MotherNets and of hatched
    members. All members are of one cluster, whatever the settings say of clusters; the
    plan lists none, as a run's clusters are of its own architectures.

    Raises:
        ValueError: a budget too small, more cycles than steps, or bags of streamed
            images.
    """
    network, architecture = single_network(task, members)
    rays = {f"{network}_ray_{i}": architecture for i in range(1, len(members) + 1)}
    clusters = (Cluster(architecture, tuple(rays)),)
    plan = hatched_ensemble(NAME, task, settings, rays, clusters)
    return plan._replace(clusters=())
