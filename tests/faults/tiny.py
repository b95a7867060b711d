"""Runs of seconds: what the faults are injected into."""

from configs import pareto

DEEP = "mlp " + " ".join(["16"] * 12)  # diverges where a shallow network does not


def get_config(preset="every_method"):
    """Two of each of two small VGGs, stepped together, on 256 of the digits.

    Preset `smallest`: two networks that are hatched from one. Preset `diverging`: two
    of which one diverges, from scratch and as its cluster's MotherNet.
    """
    config = pareto.get_config("digits")
    config.architectures = {
        "A": "vgg (3:4) | (3:6); batch_norm",
        "B": "vgg (3:4)x2 | (3:8); batch_norm",
    }
    config.update_from_flattened_dict(
        {
            "replicas": 2,
            "strategy": "unroll",
            "data.train_examples": 256,
            "train.batch_size": 32,
            "train.epochs": 2,
            "hatch.epochs": 2,
            "hatch.noise": 0.1,
            "hatch.bags": True,
            "budget.epochs": 20.0,
            "checkpoint.interval_seconds": 0.0,
        }
    )
    if preset == "smallest":
        config.methods = ("mothernets",)
        config.replicas = 1
        config.architectures = {"A": "mlp 6", "B": "mlp 8"}
    if preset == "diverging":
        config.methods = ("mothernets", "full_data")
        config.replicas, config.num_clusters = 1, 2
        config.architectures = {"A": "mlp 6; batch_norm", "B": DEEP}
        config.budget.epochs = 30.0
        config.train.learning_rate = 100.0
    return config
