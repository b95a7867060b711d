"""What the plan says of clusters."""

from types import SimpleNamespace

import pytest

from mothernets_jax import presets
from mothernets_jax.architectures import mlp, resnet, vgg
from mothernets_jax.growth.clustering import cluster
from mothernets_jax.runs.plan import describe_clusters

SHAPE, CLASSES = (8, 8, 1), 10
TASK = SimpleNamespace(input_shape=SHAPE, num_classes=CLASSES)


def apart(networks, **knobs):
    """Why its clusters could not be fewer."""
    found = cluster(networks, input_shape=SHAPE, num_classes=CLASSES, **knobs)
    return describe_clusters(found, networks, TASK)["apart"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clusters", "basic", "bottleneck"),
    [(2, "mothernet_1", "mothernet_2"), (3, "mothernet_1", "mothernet_2, mothernet_3")],
)
def test_units_that_nothing_connects(clusters, basic, bottleneck):
    (reason,) = apart(presets.r10(width=0.0625), num_clusters=clusters)
    assert reason == (
        f"No growth connects {basic} with {bottleneck}: one has basic units, the other "
        "bottleneck units."
    )


def test_a_reason_for_each_two_kinds():
    block = [(3, 4)]
    networks = {"A": vgg([block]), "B": mlp([4]), "C": resnet([(4, block)])}
    assert apart(networks) == [
        f"No growth connects mothernet_{i} with mothernet_{j}: one is of the family "
        f"{one}, the other of {other}."
        for i, one, j, other in (
            (1, "vgg", 2, "mlp"),
            (1, "vgg", 3, "resnet"),
            (2, "mlp", 3, "resnet"),
        )
    ]


def test_clusters_that_could_be_fewer_need_no_reason():
    assert apart(presets.v5(width=0.0625), num_clusters=3) == []
