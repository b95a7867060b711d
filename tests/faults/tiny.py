"""Runs of seconds: what the faults are injected into."""

from configs import pareto


def get_config(preset="every_method"):
    """Two of each of two small VGGs, stepped together, on 256 of the digits.

    Preset `smallest`: two networks that are hatched from one.
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
    return config
