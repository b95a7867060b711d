"""A whole run of a tiny experiment on so many forced devices.

python whole_run.py DEVICES WORKDIR
"""

import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={sys.argv[1]}"


from configs.vgg_ensemble import get_config
from mothernets_jax import experiment, methods
from mothernets_jax.config import from_config


def main():
    config = get_config()
    config.architectures = {
        "A": "mlp 8; batch_norm",
        "B": "mlp 12 9; batch_norm",
    }
    config.strategy = "vmap"
    config.methods = ("mothernets",)
    config.train.epochs = config.hatch.epochs = 2
    config.data.train_examples = 256
    settings = from_config(config, tuple(methods.METHODS))
    experiment.train_and_evaluate(
        settings,
        name="tiny",
        workdir=Path(sys.argv[2]),
    )


if __name__ == "__main__":
    main()
