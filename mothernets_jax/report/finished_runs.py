"""Finished runs from their folders, and whether they can be compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mothernets_jax import data_record
from mothernets_jax.settings import digest_of, of_this_version


class Run(NamedTuple):
    """A finished run.

    Attributes:
        folder: where it is.
        settings: the content of its `config.json`.
        results: the content of its `results.json`.
        splits: of its data, by name their digests; empty in a run of an older version.
    """

    folder: str
    settings: dict[str, Any]
    results: dict[str, Any]
    splits: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def read_run(folder: Path) -> Run:
    """Reads what a run's page is made of.

    Raises:
        ValueError: no finished run is there.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: expected that of a finished run")
    settings, results = (
        _read(folder / f"{name}.json") for name in ("config", "results")
    )
    record = data_record.read(folder)
    splits = record["data"]["splits"] if record else {}
    return Run(str(folder), of_this_version(settings), results, splits)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ValueError(
            f"{path.parent} holds no {path.name}: expected the folder of a finished "
            "run; give the command that began it again to finish it"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error})") from None
    if not isinstance(content, dict) or (
        path.name == "results.json" and not {"methods", "data"} <= content.keys()
    ):
        raise ValueError(
            f"{path} is not what a run writes: expected its own {path.name}"
        )
    return content


def check_comparable(runs: Sequence[Run]) -> None:
    """Makes sure that errors of the runs are errors on the same images.

    Raises:
        ValueError: runs with other data or another test set.
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
    """Tells runs apart whose settings of data agree, and whose training images do not.

    Args:
        runs: those of an older version, which hold no digests, are taken at their word.
        settings: of each run, as `variant_settings` returns them.

    Returns:
        The same; where a run was trained on other images than another one, with
        `data.images`, the beginning of their digest.
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
    """What tells test sets apart, in the order in which to name a difference."""
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
