"""Networks of every family, with variables that leave nothing at its initial value."""

import jax
import numpy as np

import mothernets_jax as mn
from mothernets_jax.utils.pytrees import named_key

SHAPE, CLASSES = (9, 7, 3), 4  # sides that no stride divides
NETWORKS = {
    "vgg": mn.vgg("(3:5)x2 | (1:6) | (3:4)", dense=(7,)),
    "vgg_with_biases": mn.vgg("(5:5) | (3:6)", dense=(7,), batch_norm=False),
    "basic": mn.resnet([(4, [(3, 5)]), (6, [(3, 4)] * 2)], stem_filters=4),
    "identities": mn.resnet([(4, [(3, 5)]), (4, [(5, 4)])], shortcut="identity"),
    "bottleneck": mn.resnet(
        [(8, [(3, 3)]), (8, [(3, 2)])], unit="bottleneck", stem="imagenet"
    ),
    "preact": mn.resnet([(4, [(3, 5)]), (4, [(3, 4)])], unit="preact", stem_filters=4),
    "preact_identities": mn.resnet(
        [(4, [(3, 5)]), (4, [(3, 4)])],
        unit="preact",
        shortcut="identity",
        stem="imagenet",
        stem_filters=4,
    ),
    "wide": mn.wide_resnet(10, 1),
    "densenet": mn.densenet("(3:4)x2 | (3:5) | (3:4)", stem_filters=5),
    "densenet_bc": mn.densenet(
        "(3:2)x2 | (3:3)", stem_filters=5, bottleneck=2, compression=0.5
    ),
    "mlp": mn.mlp((6, 5)),
    "mlp_normalised": mn.mlp((6, 5), batch_norm=True),
}


def drawn(architecture, name, shape=SHAPE, classes=CLASSES):
    """Variables with running statistics, scales and biases as after some training."""
    variables = mn.init(
        architecture, named_key(jax.random.key(0), name), shape, classes
    )
    draw = np.random.default_rng(len(name))

    def varied(path, leaf):
        what, leaf = path[-1].key, np.asarray(leaf)
        if what == "kernel":
            return leaf
        positive = what in ("var", "scale")
        values = draw.uniform(*(0.5, 1.5) if positive else (-0.4, 0.4), leaf.shape)
        return values.astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(varied, variables)
