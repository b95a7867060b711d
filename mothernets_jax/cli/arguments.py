"""Arguments that several subcommands share, read without importing what they need."""

import argparse
import re
from typing import Any

from mothernets_jax import experiments


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say what to work on."""
    parser.add_argument(
        "images",
        nargs="?",
        metavar="IMAGES",
        help="a folder of images: train/CLASS and test/CLASS, or CLASS alone",
    )
    config = parser.add_mutually_exclusive_group()
    config.add_argument(
        "--experiment",
        metavar="NAME[:PRESET]",
        help=f"one of {', '.join(experiments.names())}; its file has the presets",
    )
    config.add_argument(
        "--config", metavar="FILE[:PRESET]", help="a config file of your own"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="another value of a setting, e.g. train.learning_rate=0.05; may be given "
        "several times",
    )


def add_ensemble(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say which ensemble, and how its members are combined."""
    parser.add_argument(
        "ensemble", metavar="RUN_OR_ENSEMBLE", help="a run's folder, or an ensemble's"
    )
    parser.add_argument(
        "--method", metavar="NAME", help="of a run that has several, such as mothernets"
    )
    parser.add_argument(
        "--combine", default="average", metavar="NAME", help="how; default: average"
    )
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="rescale the probabilities, if the run had data.calibration_fraction",
    )


def load_ensemble(path: str, method: str | None) -> Any:
    """The ensemble of a run or of a folder that `Ensemble.save` has written."""
    from mothernets_jax.ensembles.ensemble import Ensemble  # imports JAX, which is slow
    from mothernets_jax.runtime import compilation

    compilation.use_persistent_cache()
    return Ensemble.load(path, method)


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that shows a traceback."""
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )


def in_own_words(message: str) -> str:
    """A message of launch.py's flags, as this command takes them.

    >>> in_own_words('give all: --config.methods="()"')
    'give all: --set methods="()"'
    """
    return re.sub(r"--config\.(?=\w)", "--set ", message)
