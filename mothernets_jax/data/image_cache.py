"""Decoded images on disk: one file for each folder and way of resizing, without pickle.

The file is named by a hash of the folder and of how its images are resized, and holds
a fingerprint of the images it was made from: a hash of their names and of all their
bytes. When the images change it is replaced, so that the cache never grows by more than
the data that is in use.

All bytes are hashed, since nothing less tells whether a file is the same. Size and time
of change are kept by `tar`, `rsync -t` and `cp -p`, or come from the archive; the time
at which the system saw the last change, and the inode, cannot be set, but a mounted
image (squashfs, ISO 9660), a network's file system or a restored disk may give a file
the same as another has had, and a file written twice within a tick of the clock keeps
them as well. Hashing costs less than a tenth of decoding: for 60,000 small files less
than a second (`benchmarks/folder_check.py`).

A cache is a convenience: whatever is wrong with it is a warning, never an error.
"""

import contextlib
import fcntl
import hashlib
import logging
import math
import os
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from mothernets_jax.data.image_files import Decoded
from mothernets_jax.storage.files import user_cache_folder

_log = logging.getLogger(__name__)

# Raise whenever the same files would decode to other arrays.
_VERSION = 3
_ARRAYS = ("fingerprint", "images", "notes")
_MOST_TEXT = 2**20  # bytes of the fingerprint, or of all notes
_TEMPORARY = ".tmp"
_READ_BYTES, _CHUNK_FILES = 2**17, 256


def path_for(root: Path, image_size: int | None, resize: str) -> Path:
    """Path of the cache file for a folder's images, resized in one way.

    Args:
        root: the folder of the data set.
        image_size: height and width, in pixels, that images are resized to; None where
            they are not.
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`).
    """
    how = f"{image_size} {resize}" if image_size else "not resized"
    key = hashlib.sha256(os.fsencode(f"{_VERSION}\n{root}\n{how}")).hexdigest()
    return user_cache_folder() / f"folder-{key[:16]}.npz"


def fingerprint(root: Path, files: Sequence[str]) -> str | None:
    """Hash of image files, changed by adding, removing, renaming or writing one.

    A folder that is moved or copied as it is keeps it, and so does a file that is
    touched; another version of Pillow, which may decode to other pixels, changes it.

    Args:
        root: the folder of the data set.
        files: paths of files below `root`, in the order of the images.

    Returns:
        64 hexadecimal digits; None where a file cannot be read.
    """
    import PIL

    chunks = [
        files[start : start + _CHUNK_FILES]
        for start in range(0, len(files), _CHUNK_FILES)
    ]
    whole = hashlib.sha256(f"{PIL.__version__}\n".encode())
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for chunk, digests in zip(chunks, pool.map(_digests, chunks), strict=True):
                for path, digest in zip(chunk, digests, strict=True):
                    relative = os.fsencode(path.removeprefix(str(root)))
                    whole.update(b"%d\0%b%b" % (len(relative), relative, digest))
    except OSError:
        return None
    return whole.hexdigest()


def _digests(files: Sequence[str]) -> list[bytes]:
    return [_digest(path) for path in files]


def _digest(path: str) -> bytes:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    # Without Python's own buffers, which take twice the time for small files.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while part := os.read(descriptor, _READ_BYTES):
            digest.update(part)
    finally:
        os.close(descriptor)
    return digest.digest()


def read(
    path: Path, fingerprint: str, num_images: int, image_size: int | None
) -> Decoded | None:
    """Reads cached images; None where they must be decoded.

    What is said to be in the file is compared with its size and with what is expected
    before memory is taken for it.

    Args:
        path: the cache file, from `path_for`.
        fingerprint: hash of the image files as they are now, from `fingerprint`.
        num_images: the number of images that there are.
        image_size: their height and width, in pixels; None where any will do.

    Returns:
        The images and the notes on their decoding; None where there is no cache, it was
        made from other files, or it is damaged (which is logged).
    """
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise ValueError("it is no plain file")
        # Opened here: np.load leaves a damaged file open.
        with open(path, "rb") as file:
            _check_content(file, num_images, image_size)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                if str(arrays["fingerprint"]) != fingerprint:
                    return None
                return Decoded(arrays["images"], tuple(map(str, arrays["notes"])))
    # By the bytes that are damaged: BadZipFile, ValueError, KeyError, EOFError, ...
    except Exception as error:  # noqa: BLE001
        _log.warning(
            "Cannot read the cache %s (%s); decoding the images again.", path, error
        )
        return None


def _check_content(file: BinaryIO, num_images: int, image_size: int | None) -> None:
    """Verifies, from what a cache file says of its arrays, that it holds them.

    Raises:
        ValueError: it does not; the message says why.
        BadZipFile, KeyError, EOFError: the file is damaged.
    """
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        for name in _ARRAYS:
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as member:
                shape, dtype = _header(member)
                length = math.prod(shape) * dtype.itemsize + member.tell()
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != length:
                raise ValueError(f"{name} is not as it was written")
            if entry.file_size > size:
                raise ValueError(f"{name} is larger than the file")
            if name == "images":
                _check_images(shape, dtype, num_images, image_size)
            elif dtype.kind != "U" or length > _MOST_TEXT:
                raise ValueError(f"{name} is {dtype} of shape {shape}: expected texts")


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype that an array file is said to have."""
    major, _ = np.lib.format.read_magic(member)
    if major != 1:  # the others are for headers of more than 64 KiB
        raise ValueError(f"an array is in version {major} of its format: expected 1")
    shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    return shape, dtype


def _check_images(
    shape: tuple[int, ...], dtype: np.dtype, num_images: int, image_size: int | None
) -> None:
    """Refuses arrays that cannot be the images of a folder."""
    expected = "height, width" if image_size is None else f"{image_size}, {image_size}"
    sizes = shape[1:3] if image_size is None else (image_size, image_size)
    fits = shape in [(num_images, *sizes, channels) for channels in (1, 3)]
    if dtype != np.uint8 or not fits or 0 in shape:
        raise ValueError(
            f"images are {dtype} of shape {shape}: expected uint8 of shape "
            f"({num_images}, {expected}, 1 or 3)"
        )


def write(path: Path, fingerprint: str, decoded: Decoded) -> None:
    """Writes images to the cache, atomically; warns where that is not possible.

    Args:
        path: the cache file, from `path_for`.
        fingerprint: hash of the image files that were decoded, from `fingerprint`.
        decoded: the images and the notes on their decoding.
    """
    content = {
        "fingerprint": np.array(fingerprint),
        "images": decoded.images,
        "notes": np.array(decoded.notes, np.str_),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        # In the same folder, so that moving it into place is atomic: another run
        # reads the old file or the new one, never half of one.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=_TEMPORARY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _lock(descriptor)  # that others see that it is being written
                np.savez(file, **content)  # type: ignore[arg-type]
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


def _remove_leftovers(folder: Path) -> None:
    """Deletes what processes have left that were killed while they wrote a cache.

    A file that is being written is locked, which ends with its process.
    """
    for path in folder.glob(f"tmp*{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Locks an open file; tells whether that was possible."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
