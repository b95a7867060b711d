"""Scores on every test image: kept, read again, and subtracted pair by pair."""

import os
import zipfile

import numpy as np
import pytest
from scipy import stats

from mothernets_jax.ensembles.image_scores import (
    image_scores,
    paired_differences,
    read_scores,
    write_scores,
)

PROBABILITIES = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5], [0.0, 1.0]])
LABELS = np.array([0, 0, 1, 1])


def test_scores_by_hand():
    scores = image_scores(PROBABILITIES, LABELS)
    assert scores.wrong.tolist() == [False, True, True, False]
    assert scores.nll == pytest.approx(-np.log([0.7, 0.4, 0.5, 1.0]))


def test_scores_are_read_as_they_were_written(tmp_path):
    scores = image_scores(PROBABILITIES, LABELS)
    assert read_scores(tmp_path, "fge") is None
    write_scores(tmp_path, "fge", scores)
    found = read_scores(tmp_path, "fge")
    assert found is not None
    for ours, theirs in zip(found, scores, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "arrays", "shapes", "bomb"])
def test_damaged_scores_are_named(tmp_path, damage):
    write_scores(tmp_path, "fge", image_scores(PROBABILITIES, LABELS))
    path = tmp_path / "test_scores" / "fge.npz"
    content = path.read_bytes()
    other = {"cut": content[:-30], "empty": b"", "text": b"no arrays at all"}
    if damage in other:
        path.write_bytes(other[damage])
    elif damage == "bomb":  # 300 kB that unpack to 300 MB
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("wrong.npy", "nll.npy"):
                archive.writestr(name, bytes(150 * 2**20))
    elif damage == "arrays":
        np.savez(path, wrong=np.zeros(3, bool))
    else:
        np.savez(path, wrong=np.zeros(3, bool), nll=np.zeros(4))
    with pytest.raises(ValueError, match=r"fge.npz is damaged \(.*\): give the run's"):
        read_scores(tmp_path, "fge")


def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "test_scores").mkdir()
    os.mkfifo(tmp_path / "test_scores" / "fge.npz")
    with pytest.raises(ValueError, match=r"fge.npz is damaged \(it is no plain file"):
        read_scores(tmp_path, "fge")


def test_every_pair_is_compared_once():
    generator = np.random.default_rng(0)
    scores = {
        name: image_scores(softened, LABELS)
        for name in "abc"
        for softened in [0.9 * PROBABILITIES + 0.1 * generator.dirichlet([1, 1], 4)]
    }
    found = paired_differences(scores)
    names = [(pair["first"], pair["second"]) for pair in found]
    assert names == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair in found:
        ours, theirs = scores[pair["first"]], scores[pair["second"]]
        gap = ours.wrong.mean() - theirs.wrong.mean()
        assert pair["error"]["difference"] == pytest.approx(gap)
        interval = stats.ttest_rel(ours.nll, theirs.nll).confidence_interval(0.95)
        assert (pair["nll"]["low"], pair["nll"]["high"]) == pytest.approx(interval)
    assert paired_differences({"a": scores["a"]}) == []
