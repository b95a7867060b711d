"""`mn.train`: an ensemble from arrays, a folder or a data set, in one call."""

import ast
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import jax
from rich.console import Console

from mothernets_jax import presets
from mothernets_jax.architectures import Architecture, mlp
from mothernets_jax.config.augmentation import with_function
from mothernets_jax.config.identity import digest, digest_of
from mothernets_jax.config.nested import nested_settings
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import GIVEN, identity
from mothernets_jax.data import dataset as splits
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.methods import read_settings
from mothernets_jax.report import write_report
from mothernets_jax.report.saved_page import SavedPage
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runs.failures import explained
from mothernets_jax.runs.folder_choice import choose_for_folder
from mothernets_jax.runs.handed_data import check_section, handed_dataset
from mothernets_jax.runs.mirrored_run import mirrored
from mothernets_jax.runs.origin import origin
from mothernets_jax.runtime import compilation, devices
from mothernets_jax.stages.amounts import fitting_batch
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.messages import short_repr

_log = logging.getLogger(__name__)

# The largest batch that is chosen, and the fewest steps an epoch that it leaves.
_BATCH, _STEPS = 128, 8
# Data sets of signs, which mean something else in a mirror, or nothing.
_SIGNS = ("digits", "mnist", "svhn")


class TrainedEnsemble(Ensemble):
    """An ensemble that a run has trained, and the run itself.

    Attributes:
        workdir: the run's folder.
        method: name of the method that trained this ensemble.
        results: the content of the run's `results.json`: errors, measures and costs.
    """

    workdir: Path
    method: str
    results: dict[str, Any]

    @classmethod
    def of_run(cls, workdir: Path, method: str, results: dict[str, Any]) -> Self:
        """Loads a method's ensemble of a finished run.

        Args:
            workdir: the run's folder.
            method: name of the method.
            results: the content of the run's `results.json`.
        """
        ensemble = cls.load(workdir, method)
        ensemble.workdir, ensemble.method = workdir, method
        ensemble.results = results
        return ensemble

    def of_method(self, method: str) -> Self:
        """The ensemble that another method of the same run has trained.

        Args:
            method: name of the method, one of `results["methods"]`.

        Raises:
            ValueError: the run has no ensemble of that method.
        """
        return self.of_run(self.workdir, method, self.results)

    def export_safetensors(self, path: str | Path, **options: Any) -> None:
        """Writes a folder in the layout of model hubs, as `Ensemble` does.

        Args:
            path: path of a folder for this ensemble alone.
            **options: the other arguments; `training_data` and `figures` are the run's
                where they are left out.
        """
        known = origin(self.workdir, self.method)
        super().export_safetensors(path, **{**known, **options})

    def report(self) -> SavedPage:
        """Writes the run's page again; its path, which a notebook shows as the page."""
        return SavedPage(write_report(self.results, self.workdir))


def train(
    data: Any,
    labels: Any = None,
    *,
    members: Mapping[str, Architecture | str] | None = None,
    budget: str | float | None = None,
    settings: Mapping[str, Any] | None = None,
    workdir: str | Path | None = None,
    test: tuple[Any, Any] | None = None,
    validation: tuple[Any, Any] | None = None,
    groups: Any = None,
    augment: Callable | str | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
    progress: bool = True,
    report: bool = True,
    store: compilation.ProgramStore | None = None,
    mirror: str | None = None,
    **fields: Any,
) -> TrainedEnsemble:
    """Trains an ensemble, evaluates it on a test set, and returns it.

    The same call goes on where it was interrupted, and returns at once when all is
    done: what is trained is in the run's folder.

    Args:
        data: images, uint8 or floats [examples, height, width, channels], or features,
            numbers [examples, features]; a `Dataset`; the path of a folder of images,
            or of a table of images in CSV (`Dataset.from_table`); a data set of the
            Hugging Face library; or the name of one, such as "digits" or "cifar10".
        labels: [examples], whole numbers or texts, where `data` are arrays.
        members: the networks of the ensemble, by name; None for V5 at a quarter of its
            width, or five multilayer perceptrons for features.
        budget: what training may cost: "30min", "2h" or "$2" for the whole call,
            compiling and evaluating included, or "1e15 flops" or "40 epochs" (a bare
            number, too) of training. None to train as long as the settings say.
        settings: further settings, nested or with dots, as `config` has them on the
            command line: `{"hatch.noise": 0.1}`.
        workdir: the run's folder; None for one in `runs/`, named after the settings and
            the data.
        test: images and labels of a test set; None to draw one from arrays.
        validation: images and labels of a validation split; None to draw one.
        groups: values [examples]; examples of equal values stay in one split.
        augment: a pure function (key, images) -> images on batches of raw images, or
            the setting `data.augment`, such as "randaugment+mixup".
        callback: a function that is given each new line of `metrics.jsonl`, as a
            dictionary.
        progress: whether to show bars, on a terminal or in a notebook.
        report: whether to write the run's page, which takes some seconds.
        store: compiled programs to share with other calls; None compiles for this one.
        mirror: URL of a bucket, such as "s3://bucket/flowers", that what is saved is
            copied to while it trains, and fetched from where the run's folder is not
            there any more; None for none.
        **fields: settings of the top level by name, such as `seed`, `methods` or
            `num_clusters`, or whole sections as mappings, such as
            `train={"epochs": 20}`.

    Returns:
        The ensemble of the first of `methods`, by default MotherNets'.

    Raises:
        ValueError: data or settings that cannot be used, a budget that does not pay for
            the smallest run, a folder that holds another run, or a mirror that cannot
            be used; the message says what to do.
        InterruptedRunError: Ctrl-C or the notebook's stop button; what was trained is
            saved, and the same call goes on.

    >>> import mothernets_jax as mn
    >>> flowers = mn.train("flowers/", budget="30min")  # doctest: +SKIP
    >>> flowers.predict(new_images).argmax(axis=1)  # doctest: +SKIP
    """
    started = time.perf_counter()
    place = None if workdir is None else as_path(workdir, "workdir")
    compilation.use_persistent_cache()
    with _named_as_settings():
        given = nested_settings(settings, fields)
    section = given.setdefault("data", {})
    check_section(data, section)
    function = None if isinstance(augment, str) else augment
    if isinstance(augment, str):
        section["augment"] = augment
    of_arrays = {"test": test, "validation": validation, "groups": groups}
    dataset = handed_dataset(data, labels, section, of_arrays)
    if dataset is None:
        _name_data(section, data)
    given = _completed(given, dataset, members, budget)
    with _named_as_settings():
        frozen = with_function(read_settings(given), function)
    folder = place or _folder(frozen, dataset)
    devices.check_devices()
    with explained(frozen, folder), mirrored(mirror, folder) as copy:
        results = train_and_evaluate(
            frozen,
            name=folder.name,
            workdir=folder,
            command="mothernets_jax.train",
            console=Console(quiet=not progress, stderr=True),
            store=store,
            callback=callback,
            augmentation=function,
            dataset=dataset,
            mirror=copy,
        )
        if report and jax.process_index() == 0:
            write_report(results, folder)
    _log.info("finished after %.0f s", time.perf_counter() - started)
    return TrainedEnsemble.of_run(folder, frozen.methods[0], results)


@contextlib.contextmanager
def _named_as_settings() -> Iterator[None]:
    """Names settings in messages as the caller does: `settings` and a path."""
    try:
        yield
    except ValueError as error:
        text = str(error).replace("config" + ".", "settings.")
        raise ValueError(text) from None


def _name_data(section: dict[str, Any], data: str | Path) -> None:
    """Adds to the settings of the data the name of a data set, or a folder's path."""
    is_path = isinstance(data, Path) or "/" in data or Path(data).expanduser().is_dir()
    if is_path and not str(data).startswith("tfds:"):
        section |= {"name": "folder", "dir": str(data)}
    else:
        section["name"] = data


def _completed(
    given: dict[str, Any],
    dataset: splits.Dataset | None,
    members: Mapping[str, Architecture | str] | None,
    budget: str | float | None,
) -> dict[str, Any]:
    """Settings with the members, the budget, and what follows from the data."""
    if members is not None and not isinstance(members, Mapping):
        raise ValueError(
            f"members is {short_repr(members)}: expected networks by name, such as "
            '{"A": mlp((64,))}'
        )
    if dataset is not None:
        _add_for_arrays(given, dataset)
    elif given["data"].get("name") == "folder":
        given = _chosen_for_folder(given, members)
    else:
        _add_for_named(given["data"])
    if members is not None:
        given["architectures"] = {name: str(own) for name, own in members.items()}
    elif not given.get("architectures"):
        own = _default_members(dataset)
        given["architectures"] = {name: str(own[name]) for name in own}
    if budget is not None:
        given["budget"] = {**given.get("budget", {}), **_budget(budget)}
    given.setdefault("methods", ("mothernets",))
    return given


def _add_for_arrays(given: dict[str, Any], dataset: splits.Dataset) -> None:
    """Adds the settings that follow from data that are handed over."""
    section = given["data"]
    section["name"] = GIVEN
    if dataset.input_shape[:2] == (1, 1):  # features have no place to be moved to
        section.setdefault("crop_padding", 0)
        section.setdefault("flip", "none")
    padding = min(4, max(1, min(dataset.input_shape[:2]) // 8))
    section.setdefault("crop_padding", padding)
    recipe = given.setdefault("train", {})
    fitting = fitting_batch(len(dataset.train_labels), steps=_STEPS, largest=_BATCH)
    recipe.setdefault("batch_size", fitting)


def _add_for_named(section: dict[str, Any]) -> None:
    """Adds the settings that follow from a data set that is known by its name."""
    if section["name"] in _SIGNS:
        section.setdefault("flip", "none")
    if section["name"] == "digits":  # of 8x8 pixels
        section.setdefault("crop_padding", 1)


def _chosen_for_folder(
    given: dict[str, Any], members: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Settings with those that nobody has given chosen by the folder's images."""
    own = dict(_leaves(given))
    if members is not None:
        own["architectures"] = members
    chosen = choose_for_folder(own["data.dir"], {name: str(own[name]) for name in own})
    for sentence in chosen.sentences:
        _log.info("%s", sentence)
    added = {
        name: _value(text) for name, text in chosen.overrides.items() if name not in own
    }
    return nested_settings(added, given)


def _leaves(given: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their names with dots."""
    for name, own in given.items():
        named_by_users = f"{path}{name}" in ("architectures", "prices")
        if isinstance(own, Mapping) and not named_by_users:
            yield from _leaves(own, f"{path}{name}.")
        else:
            yield f"{path}{name}", own


def _value(text: str) -> Any:
    """The value of a setting as it is typed."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _default_members(dataset: splits.Dataset | None) -> dict[str, Architecture]:
    if dataset is None or dataset.input_shape[:2] != (1, 1):
        return presets.v5(width=0.25)
    hidden = ((64,), (96,), (64, 64), (96, 64), (96, 96))
    return {f"M{'x'.join(map(str, own))}": mlp(own, batch_norm=True) for own in hidden}


def _budget(budget: str | float) -> dict[str, Any]:
    if isinstance(budget, str):
        return {"limit": budget}
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise ValueError(
            f"budget is {short_repr(budget)}: expected text such as '30min', '$2' or "
            "'1e15 flops', or a number of epochs"
        )
    return {"epochs": budget}


def _folder(settings: Settings, dataset: splits.Dataset | None) -> Path:
    """The folder of a run that is not given one: the same for the same call."""
    if dataset is None:
        name = settings.data.name.replace(":", "-").replace("/", "-")
        return Path("runs", f"{name}-{digest(settings)}")
    described = identity.describe(dataset, name=settings.data.name)
    return Path("runs", f"{GIVEN}-{digest(settings)}-{digest_of(described)}")
