"""Messages for failures that neither the settings nor the code are to blame for.

Full disks, files that may not be written, too little memory: whatever library they are
noticed in, and whatever error wraps them, each becomes one message.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mothernets_jax.config.field_names import DATA, named_as_fields
from mothernets_jax.config.settings import Settings
from mothernets_jax.runs.limits import gibibytes

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PLACE_IS_WRONG = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
_FULL_TEXT = re.compile(r"No space left on device|ENOSPC|Disk quota exceeded|EDQUOT")
# JAX's errors of all platforms, and those of the allocators underneath.
_MEMORY_TEXT = re.compile(
    r"RESOURCE_EXHAUSTED|CUDA_ERROR_OUT_OF_MEMORY|[Oo]ut of memory"
)
_SIZE = re.compile(r"([0-9][0-9.,]*) ?([KMGTP]?i?B|bytes)\b")
_UNITS = {letter: 2 ** (10 * (i + 1)) for i, letter in enumerate("KMGTP")}


@contextlib.contextmanager
def explained(settings: Settings, workdir: Path) -> Iterator[None]:
    """Turns errors of disk, file or memory into a ValueError with one message.

    Other errors pass through unchanged.

    Errors of images that are read while networks train name fields of the config.

    Args:
        settings: the run's settings, some of which the message advises to lower.
        workdir: the run's folder, named as the place of what stays saved.
    """
    try:
        with named_as_fields(DATA):
            yield
    except Exception as error:
        message = explain(error, settings, workdir)
        if message is None:
            raise
        raise ValueError(message) from error


def explain(error: BaseException, settings: Settings, workdir: Path) -> str | None:
    """The message for an error; None for one that speaks for itself.

    Args:
        error: the error, chained to those that led to it.
        settings: the run's settings, some of which the message advises to lower.
        workdir: the run's folder, named as the place of what stays saved.
    """
    chain = _chain(error)
    for cause in chain:  # before memory: a full disk is a "resource" to some libraries
        number = cause.errno if isinstance(cause, OSError) else None
        if number in _FULL or _FULL_TEXT.search(str(cause)):
            return _of_full_disk(cause, workdir)
    for cause in chain:
        is_memory = isinstance(cause, MemoryError)
        text = str(cause)
        if is_memory or isinstance(cause, RuntimeError) and _MEMORY_TEXT.search(text):
            return _of_memory(text, settings)
    if isinstance(error, OSError) and error.errno is not None:
        return _of_file(error, workdir)
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """An error, then those that it was raised from or during the handling of."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _of_full_disk(cause: BaseException, workdir: Path) -> str:
    # Writing to an open file tells no name.
    place = cause.filename if isinstance(cause, OSError) else None
    return (
        f"the disk is full: {place or workdir} could not be written. What was saved "
        f"before in {workdir} stays; free some space there, and the same command "
        "continues"
    )


def _of_file(error: OSError, workdir: Path) -> str:
    names = [str(n) for n in (error.filename, error.filename2) if n is not None]
    place = " or ".join(names) or f"a file in {workdir}"
    reason = os.strerror(error.errno or 0)
    if error.errno in _PLACE_IS_WRONG:
        return (
            f"{place} cannot be used ({reason}): expected a file or folder that this "
            "user may read and write. Change it, or choose another place"
        )
    return (
        f"{place} could not be read or written ({reason}): look after that disk. What "
        f"was saved before in {workdir} stays, and the same command goes on from there"
    )


def _of_memory(text: str, settings: Settings) -> str:
    size = _SIZE.search(text)
    wanted = (
        f": {gibibytes(_bytes(*size.groups()))} more were asked for" if size else ""
    )
    lower = [f"config.train.batch_size (now {settings.train.batch_size:,})"]
    if settings.replicas > 1:
        lower.append(f"config.replicas (now {settings.replicas})")
    lower.append("the networks' widths")
    ways = f"Lower {' or '.join(lower)}"
    if settings.strategy != "loop":
        ways += ", or set config.strategy='loop', which steps one member at a time"
    if settings.data.name != "digits":
        ways += "; a smaller config.data.memory_share streams the images"
    return f"there is not enough memory on the device or the machine{wanted}. {ways}"


def _bytes(number: str, unit: str) -> float:
    """Number of bytes of a size as allocators write it: `12.5GiB`, `1024 bytes`."""
    return float(number.replace(",", "").rstrip(".")) * _UNITS.get(unit[0], 1)
