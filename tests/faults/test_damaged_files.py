"""A run's folder in which any file is damaged is mended or refused, never believed.

MOTHERNETS_JAX_DAMAGES=500 python -m pytest tests/faults/test_damaged_files.py
"""

import json
import os
import random
import shutil

import pytest
from fake_runs import without_clocks
from faults.smallest import metrics_of, run

import mothernets_jax as mn
from mothernets_jax import data
from mothernets_jax.storage import checkpoints

DAMAGES = int(os.environ.get("MOTHERNETS_JAX_DAMAGES", "40"))
# Their messages say what to do; everything else is mended. A page or a picture is in
# the way only as a folder.
REFUSED = {"config.json", "data.json", "strategies.json", "metrics.jsonl"}
REFUSED |= {".lock", "report.html"}


def cut(content, draw):
    return content[: draw.randrange(max(1, len(content)))]


def flip(content, draw):
    if not content:
        return b"\0"
    place = draw.randrange(len(content))
    flipped = content[place] ^ (1 << draw.randrange(8))
    return content[:place] + bytes([flipped]) + content[place + 1 :]


def blank(content, draw):
    return bytes(len(content))


def other(content, draw):
    return draw.randbytes(draw.randrange(2000))


def damage(path, draw):
    """Alters, removes or replaces a file; says how."""
    how = draw.choice((cut, flip, flip, blank, other, "deleted", "a folder"))
    if callable(how):
        path.write_bytes(how(path.read_bytes(), draw))
        return f"{how.__name__} {path}"
    path.unlink()
    if how == "a folder":
        path.mkdir()
    return f"{how}: {path}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, what its ensemble says of some images, and these."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    run(workdir, report=False)
    images = data.load("digits").test_images[:64]
    return workdir, images, mn.Ensemble.load(workdir).predict(images).tolist()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that ended in its last stage; results and metrics that it must come to."""
    folder = tmp_path_factory.mktemp("stopped")
    whole = run(folder / "whole")
    workdir = folder / "run"
    shutil.copytree(folder / "whole", workdir)
    last = workdir / "stages" / whole["methods"]["mothernets"]["stages"][-1]["name"]
    checkpoints.remove(last)
    shutil.rmtree(workdir / "ensembles")
    (workdir / "results.json").unlink()
    return workdir, without_clocks(whole), metrics_of(workdir)


def is_one_line(error):
    return "\n" not in str(error) and len(str(error)) < 800


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_ensemble_is_refused(finished, tmp_path, seed):
    workdir, images, expected = finished
    draw, refused = random.Random(seed), 0
    for number in range(DAMAGES):
        copy = tmp_path / str(number)
        shutil.copytree(workdir / "ensembles", copy / "ensembles")
        path = draw.choice([p for p in sorted(copy.rglob("*")) if p.is_file()])
        how = damage(path, draw)
        try:
            ensemble = mn.Ensemble.load(copy)
        except ValueError as error:
            assert is_one_line(error), how
            refused += 1
        else:  # as where white space of the record was altered
            assert ensemble.predict(images).tolist() == expected, how
        shutil.rmtree(copy)
    assert refused > DAMAGES // 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_with_a_damaged_file_ends_in_the_same_results(stopped, tmp_path, seed):
    workdir, expected, metrics = stopped
    draw = random.Random(seed)
    for number in range(DAMAGES):
        copy = tmp_path / str(number)
        shutil.copytree(workdir, copy)
        path = draw.choice([p for p in sorted(copy.rglob("*")) if p.is_file()])
        how = damage(path, draw)
        try:
            found = run(copy)
        except (ValueError, OSError) as error:
            assert path.name in REFUSED or path.suffix == ".png", how
            assert is_one_line(error), how
            assert str(path) in str(error) or path.name == ".lock", how
        else:
            assert without_clocks(found) == expected, how
            assert json.loads((copy / "results.json").read_text()) == found, how
            assert metrics_of(copy) == metrics, how
        shutil.rmtree(copy)


def test_damaged_results_are_made_again(finished, tmp_path, seed):
    """Whether they are JSON still, or not."""
    workdir, *_ = finished
    expected = without_clocks(run(workdir, report=False))
    draw = random.Random(seed)
    for number in range(4):
        copy = tmp_path / str(number)
        shutil.copytree(workdir, copy)
        path = copy / "results.json"
        damaged = flip(path.read_bytes(), draw)
        path.write_bytes(damaged)
        assert without_clocks(run(copy, report=False)) == expected
        assert path.read_bytes() != damaged  # in the clocks, too
        assert without_clocks(json.loads(path.read_text())) == expected
