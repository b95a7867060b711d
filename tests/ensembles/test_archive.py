"""An ensemble as bytes: the same predictions, and nothing else is accepted."""

import io
import zipfile

import numpy as np
import pytest

from mothernets_jax.ensembles.archive import from_bytes, to_bytes


def test_predictions_are_the_same_to_the_bit(ensemble):
    features = np.random.default_rng(0).normal(size=(5, 4))
    again = from_bytes(to_bytes(ensemble))
    assert again.class_names == ("no", "yes")
    np.testing.assert_array_equal(again.predict(features), ensemble.predict(features))


def test_other_bytes_are_refused(ensemble):
    with pytest.raises(ValueError, match="no archive of an ensemble"):
        from_bytes(b"anything")
    with pytest.raises(ValueError, match="no archive of an ensemble"):
        from_bytes(to_bytes(ensemble)[:-40])
    with pytest.raises(ValueError):  # whole, and of no ensemble
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("record.json", "{}")
        from_bytes(packed.getvalue())


def test_files_of_an_archive_stay_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../escaped", "text")
    with pytest.raises(ValueError):
        from_bytes(packed.getvalue())
    assert not list(tmp_path.parent.rglob("escaped"))
    assert not list(tmp_path.iterdir())
