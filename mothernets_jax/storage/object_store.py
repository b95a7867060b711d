"""A store of objects, such as a bucket, by the few operations that a mirror needs.

Objects are bytes by name, and there are no folders: `/` is a letter of names. Any URL
of fsspec is a store (s3://, gs://, file://); fsspec is an optional package, as are s3fs
and gcsfs, which it asks for. Where credentials come from is theirs to say.
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

_CHUNK = 2**22  # bytes that are read at a time
_MOST_CHARACTERS = 200  # of a library's message
_Value = TypeVar("_Value")


class StoreError(OSError):
    """Error for a store that cannot be read or written just now, in one line."""


class ObjectStore(Protocol):
    """Objects by name; an object is there whole or, but for folders, not at all.

    Attributes:
        url: the store's address, without anything secret.
    """

    url: str

    def names(self, folder: str) -> list[str]:
        """Names of all objects `FOLDER/NAME`, without the folder.

        Raises:
            StoreError: the store cannot be read.
        """
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Reads an object piece by piece.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store cannot be read.
        """
        ...

    def create(self, name: str, content: bytes) -> None:
        """Writes an object that is not there yet.

        Raises:
            FileExistsError: it is there.
            StoreError: the store cannot be written.
        """
        ...

    def upload(self, name: str, path: Path) -> None:
        """Writes a file's content as an object.

        Raises:
            StoreError: the file or the store cannot be used.
        """
        ...

    def delete(self, names: Collection[str]) -> None:
        """Deletes objects, those that are there.

        Raises:
            StoreError: the store cannot be written.
        """
        ...


def read(store: ObjectStore, name: str, most_bytes: int) -> bytes:
    """Reads an object of at most so many bytes.

    Raises:
        FileNotFoundError: there is no such object.
        ValueError: the object is larger.
        StoreError: the store cannot be read.
    """
    content = b""
    for chunk in store.chunks(name):
        content += chunk
        if len(content) > most_bytes:
            raise ValueError(f"expected at most {most_bytes:,} bytes")
    return content


def open_store(url: str) -> ObjectStore:
    """Opens the store at an URL, without touching it yet.

    Args:
        url: protocol, bucket or the like, and a prefix: `s3://bucket/runs/first`.

    Raises:
        ValueError: it is no such URL, it has a password in it, or a package that it
            needs is missing.
    """
    check_url(url)
    try:
        fsspec = import_module("fsspec")
        system, prefix = fsspec.core.url_to_fs(
            url, skip_instance_cache=True, use_listings_cache=False
        )
    except ImportError as error:
        raise ValueError(
            f"the mirror {url} needs a package that cannot be imported ({error}): pip "
            "install -r requirements-mirror.txt s3fs (gcsfs for gs://)"
        ) from None
    except Exception as error:  # noqa: BLE001 (each protocol has its own)
        raise ValueError(
            f"the mirror {url} cannot be opened ({_reason(error)}): expected an URL "
            "such as s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
        ) from None
    if "file" in system.protocol:
        system.auto_mkdir = True
    return FsspecStore(url, system, prefix)


def check_url(url: str) -> None:
    """Refuses what is no URL of a store, or has secrets in it.

    Raises:
        ValueError: it is refused; no secret is in the message.
    """
    expected = "expected an URL such as s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
    parts = urlsplit(url)
    if ":" in parts.netloc.rpartition("@")[0] or parts.query:
        raise ValueError(
            f"the mirror's URL ({parts.scheme}://...) has a password or a query in it, "
            "which would be seen in logs and reports: give credentials in the "
            f"environment or in a file, as the protocol's package has them; {expected}"
        )
    is_path = parts.netloc or parts.scheme in ("file", "memory")
    if not (parts.scheme and is_path and parts.netloc + parts.path.strip("/")):
        raise ValueError(f"the mirror is {url!r}: {expected}")


class FsspecStore:
    """The objects below a prefix of a file system of fsspec.

    Attributes:
        url: the store's address.
    """

    def __init__(self, url: str, system: Any, prefix: str):
        """Takes a file system, without touching it.

        Args:
            url: the store's address, for messages.
            system: an `fsspec.AbstractFileSystem`.
            prefix: the prefix, as the file system takes it.
        """
        self.url, self._system, self._prefix = url, system, prefix.rstrip("/")

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""

        def found() -> list[str]:
            self._system.invalidate_cache()
            return self._system.ls(self._path(folder), detail=False)

        try:
            paths = _explained(found)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `ObjectStore`."""
        path = self._path(name)
        file = _explained(
            lambda: self._system.open(path, "rb", block_size=_CHUNK, cache_type="none")
        )
        with file:
            while chunk := _explained(lambda: file.read(_CHUNK)):
                yield chunk

    def create(self, name: str, content: bytes) -> None:
        """See `ObjectStore`."""
        path = self._path(name)
        try:
            _explained(lambda: self._system.pipe_file(path, content, mode="create"))
        except FileNotFoundError as error:
            raise StoreError(_reason(error)) from None

    def upload(self, name: str, path: Path) -> None:
        """See `ObjectStore`."""
        try:
            _explained(lambda: self._system.put_file(str(path), self._path(name)))
        except FileNotFoundError as error:
            raise StoreError(_reason(error)) from None

    def delete(self, names: Collection[str]) -> None:
        """See `ObjectStore`."""
        for path in map(self._path, names):
            with contextlib.suppress(FileNotFoundError):
                _explained(functools.partial(self._system.rm_file, path))

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _explained(function: Callable[[], _Value]) -> _Value:
    """Calls a function of fsspec, with errors that say what they mean.

    Raises:
        FileExistsError: an object is there already.
        FileNotFoundError: there is no such object, or no bucket.
        StoreError: anything else.
    """
    try:
        return function()
    except (FileExistsError, FileNotFoundError):
        raise
    except Exception as error:  # noqa: BLE001 (each protocol has its own)
        raise StoreError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """What a library says of an error, in one short line."""
    line = " ".join(str(error).split()) or "no reason is told"
    return f"{type(error).__name__}: {line}"[:_MOST_CHARACTERS]
