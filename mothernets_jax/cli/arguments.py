"""Arguments that several subcommands share, read without importing what they need."""

import argparse
import re

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
