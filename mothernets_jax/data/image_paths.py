"""Images in files that are known by their paths, decoded once and kept in a cache."""

import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from mothernets_jax.data import decoding, image_cache
from mothernets_jax.data.image_files import Decoded
from mothernets_jax.data.load_files import Files, decode_files
from mothernets_jax.data.preparation import Preparation

_log = logging.getLogger(__name__)

_MOST_NAMED = 20  # of files that are refused


def files_at(paths: Sequence[str]) -> Files:
    """Function from numbers of images to their files, which can be pickled."""
    return partial(_open, list(paths))


def _open(paths: Sequence[str], numbers: Iterable[int]) -> list[decoding.Encoded]:
    return [decoding.Encoded(paths[number], paths[number]) for number in numbers]


def decode_paths(
    paths: Sequence[str], preparation: Preparation, *, root: Path, listed_in: Path
) -> Decoded:
    """Decodes all images, or takes them from the cache where they are in it.

    Args:
        paths: paths of the images' files.
        preparation: what is done to the files.
        root: folder that the paths start from.
        listed_in: the folder or file that tells which images there are, for which the
            cache has one file.

    Raises:
        ValueError: images that cannot be read, or are of different sizes.
    """
    image_size, _, resize = preparation
    cache_file = image_cache.path_for(listed_in, image_size, resize)
    fingerprint = image_cache.fingerprint(root, paths)
    if fingerprint is not None:
        cached = image_cache.read(cache_file, fingerprint, len(paths), image_size)
        if cached is not None:
            for note in cached.notes:
                _log.info("%s.", note)
            return cached
    purpose = " (once; then they are cached)"
    decoded = decode_files(files_at(paths), len(paths), preparation, purpose=purpose)
    if fingerprint is None or fingerprint != image_cache.fingerprint(root, paths):
        _log.warning("Images changed while they were read: they are not cached.")
    else:
        image_cache.write(cache_file, fingerprint, decoded)
    return decoded


def refuse_bad(paths: Sequence[str]) -> None:
    """Refuses images that could not be read, before a stream comes upon them.

    Args:
        paths: paths of these images; none are no error.

    Raises:
        ValueError: there are some; the message names the first.
    """
    if paths:
        more = len(paths) - _MOST_NAMED
        named = ", ".join(paths[:_MOST_NAMED]) + (f" and {more:,} more" * (more > 0))
        raise ValueError(
            f"cannot read {len(paths):,} image{'s' if len(paths) > 1 else ''}: "
            f"{named}. They are empty, of no format that is read, or links that lead "
            f"nowhere; expected {', '.join(decoding.FORMATS)}. Replace or remove them."
        )


def sizes_of(paths: Iterable[str]) -> Iterable[int]:
    """Sizes of files, in bytes."""
    return (os.stat(path).st_size for path in paths)
