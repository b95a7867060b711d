"""The experiment that a command names: a folder of images, a config, overrides."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from mothernets_jax import experiments
from mothernets_jax.config import command_line, file_errors
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods import read_settings
from mothernets_jax.runs.folder_choice import choose_for_folder
from mothernets_jax.utils.messages import short_repr

# What trains on a folder when no experiment is named; `choose_for_folder` adjusts it.
DEFAULT = "vgg_ensemble:folder_thin"


class Experiment(NamedTuple):
    """What a command works on.

    Attributes:
        name: name for the report and for the folder of a run that has none.
        settings: the checked settings.
        choices: sentences on what was chosen for a folder; empty where all was given.
    """

    name: str
    settings: Settings
    choices: tuple[str, ...] = ()


def read(options: argparse.Namespace) -> Experiment:
    """Reads and checks the settings that a command gives.

    Args:
        options: the parsed arguments that `arguments.add_experiment` has added.

    Raises:
        ValueError: nothing to work on, or a config, a field or a value that is not
            allowed.
    """
    given, images = _overrides(options.set), options.images
    config = _config(options)
    if images is not None:
        given |= {"data.name": "folder", "data.dir": images}
    if config is None:
        if images is None:
            raise ValueError(
                "there is nothing to work on: give a folder of images, --experiment="
                "NAME (such as vgg_ensemble), or --config=FILE"
            )
        if not Path(images).expanduser().is_dir():
            raise ValueError(
                f"{short_repr(images)} is no folder: expected one with a folder of "
                "images for each class, or with train/CLASS and test/CLASS"
            )
        chosen = choose_for_folder(images, given)
        settings = read_settings(_load(_file_of(DEFAULT), chosen.overrides | given))
        hint = "Change it by --set FIELD=VALUE, or name an --experiment."
        name = Path(images).resolve().name or "images"
        return Experiment(name, settings, (*chosen.sentences, hint))
    path, _, preset = config.partition(":")
    name = "-".join(filter(None, (Path(path).stem, preset)))
    return Experiment(name, read_settings(_load(config, given)))


def _config(options: argparse.Namespace) -> str | None:
    """The config's file and preset that a command names; None where it names none."""
    if options.experiment is not None:
        return _file_of(options.experiment)
    return options.config


def _file_of(experiment: str) -> str:
    name, colon, preset = experiment.partition(":")
    return f"{experiments.path_of(name)}{colon}{preset}"


def _overrides(fields: Sequence[str]) -> dict[str, str]:
    """The values of `--set` by field."""
    found = {}
    for text in fields:
        field, equals, value = text.partition("=")
        field = field.strip().removeprefix("--").removeprefix("config.")
        if not equals or not field:
            raise ValueError(
                f"--set {short_repr(text)}: expected FIELD=VALUE, such as "
                "train.learning_rate=0.05"
            )
        found[field] = value
    return found


def _load(config: str, overrides: Mapping[str, str]) -> Any:
    """Loads a config by the rules of launch.py, each override by its field's type."""
    arguments = [f"--config.{field}={value}" for field, value in overrides.items()]
    values = flags.FlagValues()
    try:
        command_line.parse(["mothernets", f"--config={config}", *arguments], values)
    except Exception as error:  # a config file may fail in any way
        raise ValueError(file_errors.explain(error)) from error
    return values["config"].value
