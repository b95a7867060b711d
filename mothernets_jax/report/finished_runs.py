"""Finished runs, read from their folders, and checks that they can be compared."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mothernets_jax.architectures.checks import is_name
from mothernets_jax.config.identity import digest_of, of_this_version
from mothernets_jax.data import run_record
from mothernets_jax.ensembles.image_scores import ImageScores, read_scores
from mothernets_jax.report.results_format import check_results, check_settings
from mothernets_jax.report.schema import by_name, fields, nullable, text
from mothernets_jax.storage import files, seals


class Run(NamedTuple):
    """A finished run.

    Attributes:
        folder: path of the run's folder.
        settings: the content of its `config.json`.
        results: the content of its `results.json`.
        splits: digests of the data's splits by name; empty for a run of an older
            version.
        scores: each method's scores on the test images; empty for a run of an older
            version.
        verified: whether the results are those that their checksum is of.
    """

    folder: str
    settings: dict[str, Any]
    results: dict[str, Any]
    splits: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    scores: Mapping[str, ImageScores] = MappingProxyType({})
    verified: bool = True


def read_run(folder: Path) -> Run:
    """Reads a finished run from its folder.

    Raises:
        ValueError: no finished run is there, or one with a damaged file.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: expected that of a finished run")
    settings = _read(folder / "config.json", check_settings)
    results = _read(folder / seals.RESULTS, check_results)
    record = run_record.read(folder)
    splits = _splits(record, folder) if record else {}
    names = [name for name in results["methods"] if is_name(name)]
    found = {name: read_scores(folder, name) for name in names}
    scores = {name: own for name, own in found.items() if own is not None}
    verified = _is_verified(folder)
    settings = of_this_version(settings)
    return Run(str(folder), settings, results, splits, scores, verified)


def _read(path: Path, check: Callable[[Any], None]) -> dict[str, Any]:
    """Reads a file of a run, and checks that it is what a run writes."""
    if not os.path.lexists(path):
        raise ValueError(
            f"{path.parent} holds no {path.name}: expected the folder of a finished "
            "run; give the command that began it again to finish it"
        )
    content = files.read_json(path)
    try:
        check(content)
    except ValueError as error:
        raise ValueError(
            f"{path} is not what a run writes ({error}): expected its own {path.name}"
        ) from None
    return content


def _is_verified(folder: Path) -> bool:
    """Tells whether results have a checksum, and refuses those that are not its.

    Raises:
        DamagedError: the results, or the file of checksums, are not as they were.
    """
    expected = seals.read(folder).get(seals.RESULTS)
    path = folder / seals.RESULTS
    if expected not in (None, seals.of_file(path)):
        raise files.DamagedError(
            f"{path} is damaged (it is not what its checksum in {seals.NAME} says): "
            "give the command that made the run again"
        )
    return expected is not None


def _splits(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Digests of the splits of a run's data, from its record."""
    digest = nullable(text(1000))
    split = fields({}, {"labels": digest, "pixels": digest})
    data = fields({"splits": by_name(split, 100, text(1000))})
    try:
        fields({"data": data})(record, "record")
    except ValueError as error:
        raise ValueError(
            f"{folder / run_record.NAME} is not what a run writes ({error})"
        ) from None
    return record["data"]["splits"]


def check_comparable(runs: Sequence[Run]) -> None:
    """Checks that all runs were tested on the same images.

    Raises:
        ValueError: two runs with different data or different test sets.
    """
    first = runs[0]
    for run in runs[1:]:
        test_sets = _test_set(first), _test_set(run)
        for what, ours in test_sets[0].items():
            theirs = test_sets[1][what]
            # What a run of an older version does not say cannot be compared.
            if ours != theirs and None not in (ours, theirs):
                raise ValueError(
                    f"{run.folder} and {first.folder} were not tested on the same "
                    f"images ({what}: {_short(theirs)} and {_short(ours)}): compare "
                    "runs that share a test set"
                )


def with_images(
    runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Adds to settings what tells apart runs on different training images.

    Args:
        runs: finished runs; those of an older version, which have no digests, count as
            trained on the same images as others with the same settings of data.
        settings: each run's settings, as `compare.variant_settings` returns them.

    Returns:
        The settings; where a run was trained on other images than another one with the
        same settings of data, with `data.images`, a short digest of the images.
    """
    digests = [run.splits.get("training", {}) for run in runs]
    sections = [
        {name: value for name, value in each.items() if name.startswith("data.")}
        for each in settings
    ]
    found = []
    for own, section, digest in zip(settings, sections, digests, strict=True):
        alike = [
            other
            for there, other in zip(sections, digests, strict=True)
            if there == section and other
        ]
        apart = digest and any(other != digest for other in alike)
        found.append({**own, "data.images": digest_of(digest)} if apart else {**own})
    return found


def _test_set(run: Run) -> dict[str, Any]:
    """Properties that tell test sets apart, in the order in which they are compared."""
    data = run.results["data"]
    return {
        "data set": data["name"],
        "test images": data["test_examples"],
        "their size": data["input_shape"],
        "classes": data["class_names"],
        "fold": run.settings.get("data", {}).get("fold"),
        "images of each class": data.get("class_counts", {}).get("test"),
        "SHA-256 of their labels": run.splits.get("test", {}).get("labels"),
        "SHA-256 of their pixels": run.splits.get("test", {}).get("pixels"),
    }


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
