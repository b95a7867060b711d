"""MotherNets: diverse deep ensembles at a fraction of the cost, in JAX and Flax.

References:
    MotherNets: Rapid Deep Ensemble Learning. Wasay, Hentschel, Liao, Chen, Idreos.
    MLSys 2020, arXiv 1809.04270.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mothernets_jax import presets
    from mothernets_jax.api import TrainedEnsemble, train
    from mothernets_jax.architectures import (
        Architecture,
        densenet,
        mlp,
        parse,
        resnet,
        vgg,
        wide_resnet,
    )
    from mothernets_jax.architectures.costs import num_params, train_flops
    from mothernets_jax.data.public import Dataset
    from mothernets_jax.ensembles.cascade import Cascade, fit_cascade
    from mothernets_jax.ensembles.ensemble import Ensemble, Member
    from mothernets_jax.growing import grow
    from mothernets_jax.growth.clustering import Cluster, cluster
    from mothernets_jax.growth.hatching import hatch
    from mothernets_jax.growth.layouts import opposite_layouts
    from mothernets_jax.growth.mothernet import mothernet
    from mothernets_jax.models.apply import apply
    from mothernets_jax.models.imported.torch_networks import (
        ImportedNetwork,
        from_torch,
    )
    from mothernets_jax.models.network import Network
    from mothernets_jax.models.training_pass import apply_train
    from mothernets_jax.models.variables import init
    from mothernets_jax.sklearn import MotherNetsClassifier
    from mothernets_jax.utils.pytrees import named_key

__all__ = [
    "Architecture",
    "Cascade",
    "Cluster",
    "Dataset",
    "Ensemble",
    "ImportedNetwork",
    "Member",
    "MotherNetsClassifier",
    "Network",
    "TrainedEnsemble",
    "apply",
    "apply_train",
    "cluster",
    "densenet",
    "fit_cascade",
    "from_torch",
    "grow",
    "hatch",
    "init",
    "mlp",
    "mothernet",
    "named_key",
    "num_params",
    "opposite_layouts",
    "parse",
    "presets",
    "resnet",
    "train",
    "train_flops",
    "vgg",
    "wide_resnet",
]

# The module of each public name, imported when the name is first used: commands that
# only look at data, networks and results need no JAX, which takes seconds to import.
_HOMES = {
    "Architecture": "architectures",
    "Cascade": "ensembles.cascade",
    "Cluster": "growth.clustering",
    "Dataset": "data.public",
    "Ensemble": "ensembles.ensemble",
    "ImportedNetwork": "models.imported.torch_networks",
    "Member": "ensembles.ensemble",
    "MotherNetsClassifier": "sklearn",
    "Network": "models.network",
    "TrainedEnsemble": "api",
    "apply": "models.apply",
    "apply_train": "models.training_pass",
    "cluster": "growth.clustering",
    "densenet": "architectures",
    "fit_cascade": "ensembles.cascade",
    "from_torch": "models.imported.torch_networks",
    "grow": "growing",
    "hatch": "growth.hatching",
    "init": "models.variables",
    "mlp": "architectures",
    "mothernet": "growth.mothernet",
    "named_key": "utils.pytrees",
    "num_params": "architectures.costs",
    "opposite_layouts": "growth.layouts",
    "parse": "architectures",
    "resnet": "architectures",
    "train": "api",
    "train_flops": "architectures.costs",
    "vgg": "architectures",
    "wide_resnet": "architectures",
}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module."""
    if name == "presets":
        return importlib.import_module("mothernets_jax.presets")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mothernets_jax.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *__all__})
