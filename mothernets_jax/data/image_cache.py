"""Decoded images on disk: one file for each folder and way of resizing, without pickle.

The file is named by a hash of the folder and of how its images are resized, and holds
a fingerprint of the images it was made from. When the images change it is replaced, so
that the cache never grows by more than the data that is in use.

A cache is a convenience: whatever is wrong with it is a warning, never an error.
"""

import hashlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np

from mothernets_jax.user_cache import user_cache_folder

_log = logging.getLogger(__name__)

# Raise whenever the same files would decode to other arrays.
_VERSION = 2


def path_for(root: Path, image_size: int | None, resize: str) -> Path:
    """Where the images of the folder `root` are cached, by how they are resized."""
    how = f"{image_size} {resize}" if image_size else "not resized"
    key = hashlib.sha256(os.fsencode(f"{_VERSION}\n{root}\n{how}")).hexdigest()
    return user_cache_folder() / f"folder-{key[:16]}.npz"


def read(path: Path, fingerprint: str) -> np.ndarray | None:
    """Reads the images, or nothing where they must be decoded.

    Args:
      path: from `path_for`.
      fingerprint: of the files as they are now.

    Returns:
      uint8 [examples, height, width, channels], or None: there is no cache, it was
      made from other files, or it is damaged (which is logged).
    """
    try:
        # Opened here: np.load leaves a damaged file open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["fingerprint"]) != fingerprint:
                return None
            return arrays["images"]
    except FileNotFoundError:
        return None
    # By the bytes that are damaged: BadZipFile, ValueError, KeyError, EOFError, ...
    except Exception as error:  # noqa: BLE001
        _log.warning(
            "Cannot read the cache %s (%s); decoding the images again.", path, error
        )
        return None


def write(path: Path, fingerprint: str, images: np.ndarray) -> None:
    """Writes the images, atomically; warns where that is not possible.

    Args:
      path: from `path_for`.
      fingerprint: of the files that were decoded.
      images: uint8 [examples, height, width, channels].
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that moving it into place is atomic: another run
        # reads the old file or the new one, never half of one.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, fingerprint=np.array(fingerprint), images=images)
            os.replace(temporary, path)
        except BaseException:  # An interrupt too must not leave it behind.
            os.unlink(temporary)
            raise
    except OSError as error:
        _log.warning(
            "Cannot write the cache %s (%s); the images will be decoded each time.",
            path,
            error,
        )
