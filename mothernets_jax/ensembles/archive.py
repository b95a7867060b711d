"""A saved ensemble as bytes: the files of its folder in one archive."""

import io
import tempfile
import zipfile
from pathlib import Path

from mothernets_jax.ensembles.ensemble import Ensemble


def to_bytes(ensemble: Ensemble) -> bytes:
    """Packs everything that `predict` needs; `from_bytes` takes it.

    Args:
        ensemble: the ensemble to pack.

    Raises:
        ValueError: the ensemble could not be loaded again.
    """
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "ensemble")
        ensemble.save(saved)
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted(saved.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(saved))
    return packed.getvalue()


def from_bytes(data: bytes) -> Ensemble:
    """Reads an ensemble that `to_bytes` has packed.

    What it holds is checked as `Ensemble.load` checks a folder's; nothing of it is
    unpickled or run.

    Args:
        data: the archive.

    Raises:
        ValueError: this is no archive of an ensemble, or it is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                archive.extractall(folder)  # names never lead out of the folder
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise ValueError(
                f"these {len(data):,} bytes are no archive of an ensemble ({error}): "
                "expected what to_bytes has returned"
            ) from None
        return Ensemble.load(folder)
