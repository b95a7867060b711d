"""MotherNets: diverse deep ensembles at a fraction of the cost, in JAX and Flax.

References:
    MotherNets: Rapid Deep Ensemble Learning. Wasay, Hentschel, Liao, Chen, Idreos.
    MLSys 2020, arXiv 1809.04270.
"""

from typing import TYPE_CHECKING, Any

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
from mothernets_jax.ensembles.ensemble import Ensemble, Member
from mothernets_jax.growth.clustering import Cluster, cluster
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.layouts import opposite_layouts
from mothernets_jax.growth.mothernet import mothernet
from mothernets_jax.models.apply import apply
from mothernets_jax.models.network import Network
from mothernets_jax.models.training_pass import apply_train
from mothernets_jax.models.variables import init
from mothernets_jax.utils.pytrees import named_key

if TYPE_CHECKING:
    from mothernets_jax.sklearn import MotherNetsClassifier

__all__ = [
    "Architecture",
    "Cluster",
    "Dataset",
    "Ensemble",
    "Member",
    "MotherNetsClassifier",
    "Network",
    "TrainedEnsemble",
    "apply",
    "apply_train",
    "cluster",
    "densenet",
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


def __getattr__(name: str) -> Any:
    """The classifier, which needs scikit-learn, when it is first asked for."""
    if name == "MotherNetsClassifier":
        from mothernets_jax.sklearn import MotherNetsClassifier

        return MotherNetsClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
