"""States of a folder in a store of objects, each whole or not there.

Files are objects `objects/NAME`, never written twice, and a state is a numbered list of
them, `states/NUMBER.json`, with the size and SHA-256 of each file and its own. It is
written last and in one step: whoever is killed on the way leaves the state before it
whole. The newest two states are kept.

No two write in turns: a number is taken once, so that of two writers one finds its next
number taken, and stops. The one that began last goes on.
"""

import hashlib
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from mothernets_jax.storage import files, object_store
from mothernets_jax.storage.files import DamagedError
from mothernets_jax.storage.object_store import ObjectStore, StoreError
from mothernets_jax.utils.messages import is_utf8, safe_name, short_repr

_log = logging.getLogger(__name__)

_STATES, _OBJECTS = "states", "objects"
_FORMAT = 1
_AT_ONCE = 8  # objects that are read or written
_MOST_BYTES = 2**26  # of a state's list
_MOST_PARTS, _LONGEST_PART = 12, 255  # of a file's path; bytes of a part
_HEX = frozenset("0123456789abcdef")
_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


class TakenOverError(ValueError):
    """Error for a mirror that another process has begun to write."""


class StoredFile(NamedTuple):
    """A file of a state: its object, and what it must hold.

    Attributes:
        object: name of the object.
        size: number of bytes.
        sha256: checksum, in hexadecimal.
    """

    object: str
    size: int
    sha256: str


class LocalFile(NamedTuple):
    """A file on the disk that is to be stored, and that nothing changes meanwhile.

    Attributes:
        path: where it is.
        size: number of bytes.
        sha256: checksum, in hexadecimal.
    """

    path: Path
    size: int
    sha256: str


class MirrorState(NamedTuple):
    """A state of a folder.

    Attributes:
        number: its number, from 1.
        run: random name of the run, the same in all of its states.
        owner: who wrote it, in words.
        files: the files by their paths in the folder, with `/` between the parts.
        sha256: checksum of its list, in hexadecimal.
    """

    number: int
    run: str
    owner: str
    files: dict[str, StoredFile]
    sha256: str


class Mirror:
    """The states in a store, to which one process adds."""

    def __init__(self, store: ObjectStore):
        """Takes a store, without touching it."""
        self._store = store
        self._token = secrets.token_hex(4)  # names of objects that nobody else writes
        self._owner = f"process {os.getpid()} on {socket.gethostname()}"
        self._last: MirrorState | None = None
        self._before: MirrorState | None = None

    @property
    def url(self) -> str:
        """The store's address, for messages."""
        return self._store.url

    def newest(self) -> MirrorState | None:
        """Reads the newest state that is whole; None where there is none.

        What is published next follows it. Others are named in the log.

        Raises:
            StoreError: the store cannot be read.
        """
        for number in sorted(self._numbers(), reverse=True):
            try:
                found = self._read(number)
            except FileNotFoundError:  # its owner has replaced it just now
                continue
            except DamagedError as error:
                _log.warning("%s; going on from the state before it, if any", error)
                continue
            if self._last is None or self._last.sha256 != found.sha256:
                self._last, self._before = found, None
            return found
        return None

    def publish(
        self,
        local: Mapping[str, LocalFile],
        stored: Mapping[str, StoredFile],
        run: str,
        *,
        claim: bool = False,
    ) -> MirrorState:
        """Stores files, then the state that they are; nothing where none is new.

        Args:
            local: files to store, by their paths; those whose content the last state
                has are not stored again.
            stored: further files of the state, of the last one.
            run: name of the run.
            claim: whether to add a state even where nothing is new, by which another
                process that writes here notices this one.

        Returns:
            The state, which is the newest.

        Raises:
            TakenOverError: another process has added a state since `newest`.
            StoreError: the store cannot be written; the last state stays.
        """
        known = {} if self._last is None else self._last.files
        objects = {own.sha256: own for own in known.values()}
        after = 0 if self._last is None else self._last.number
        number = self._next_number(after)
        listed = dict(stored)
        new = {own.sha256: own for own in local.values() if own.sha256 not in objects}
        for own in in_parallel(self._upload, new.values()):
            objects[own.sha256] = own
        listed |= {name: objects[own.sha256] for name, own in local.items()}
        if self._last is not None and self._last.files == listed and not claim:
            return self._last
        content = {
            "format": _FORMAT,
            "run": run,
            "owner": self._owner,
            "files": {name: list(listed[name]) for name in sorted(listed)},
        }
        sealed = {**content, "sha256": _checksum(content)}
        try:
            self._store.create(_list_of(number), files.json_bytes(sealed))
        except FileExistsError:
            if not self._is_own(number, sealed["sha256"]):
                raise self._taken_over(number) from None
        state = MirrorState(number, run, self._owner, listed, sealed["sha256"])
        earlier, self._before, self._last = self._before, self._last, state
        self._forget(earlier)
        return state

    def clean(self) -> None:
        """Deletes what no state needs, such as objects that a killed process has left.

        To be called once this process has published a state, so that no other can add
        one with an object that is deleted here.

        Raises:
            StoreError: the store cannot be read or written.
        """
        assert self._last is not None
        kept = [state for state in (self._before, self._last) if state is not None]
        needed = {own.object for state in kept for own in state.files.values()}
        found = (f"{_OBJECTS}/{name}" for name in self._store.names(_OBJECTS))
        self._store.delete(sorted(name for name in found if name not in needed))
        old = sorted(self._numbers())[:-2]
        self._store.delete([_list_of(number) for number in old])

    def download(self, stored: StoredFile, path: Path) -> None:
        """Writes a stored file to the disk.

        Args:
            stored: the file.
            path: a path at which nothing is.

        Raises:
            DamagedError: the object is missing, or not what the state says.
            StoreError: the store cannot be read.
            OSError: the file cannot be written.
        """
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("xb") as file:
                for chunk in self._store.chunks(stored.object):
                    size += len(chunk)
                    if size > stored.size:
                        break
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except FileNotFoundError:
            size = -1
        if (size, digest.hexdigest()) != (stored.size, stored.sha256):
            raise DamagedError(f"{stored.object} is missing or altered")

    def read(self, stored: StoredFile) -> bytes:
        """Reads a small stored file.

        Raises:
            DamagedError: the object is missing, or not what the state says.
            StoreError: the store cannot be read.
        """
        try:
            content = object_store.read(self._store, stored.object, _MOST_BYTES)
        except (FileNotFoundError, ValueError):
            content = b""
        if hashlib.sha256(content).hexdigest() != stored.sha256:
            raise DamagedError(f"{stored.object} is missing or altered")
        return content

    def _upload(self, own: LocalFile) -> StoredFile:
        name = f"{_OBJECTS}/{own.sha256}-{self._token}"
        self._store.upload(name, own.path)
        return StoredFile(name, own.size, own.sha256)

    def _numbers(self) -> list[int]:
        stems = (name.partition(".")[0] for name in self._store.names(_STATES))
        return [int(stem) for stem in stems if stem.isascii() and stem.isdecimal()]

    def _read(self, number: int) -> MirrorState:
        """Reads a state.

        Raises:
            FileNotFoundError: there is none of this number.
            DamagedError: it is not as it was written.
        """
        try:
            content = object_store.read(self._store, _list_of(number), _MOST_BYTES)
            return _state(number, files.parse_json(content))
        except (ValueError, RecursionError) as error:
            name = f"{self.url}/{_list_of(number)}"
            raise DamagedError(f"{name} is damaged ({error})") from None

    def _next_number(self, after: int) -> int:
        """The number after the last state's, and after those of damaged ones.

        Raises:
            TakenOverError: another process has added a whole state.
        """
        later = [number for number in self._numbers() if number > after]
        for number in later:
            try:
                self._read(number)
            except (FileNotFoundError, DamagedError):
                continue
            raise self._taken_over(number)
        return max([after, *later]) + 1

    def _is_own(self, number: int, sha256: str) -> bool:
        """Tells whether a state is the one just written, whose answer was lost."""
        try:
            return self._read(number).sha256 == sha256
        except (DamagedError, FileNotFoundError):
            return False

    def _taken_over(self, number: int) -> TakenOverError:
        try:
            who = self._read(number).owner
        except (DamagedError, StoreError, FileNotFoundError):
            who = "another process"
        return TakenOverError(
            f"the mirror {self.url} is written by {safe_name(who)} since this run read "
            "it: this run stops, so that no two are mixed. What it saved is in its "
            "folder; the same command takes the mirror over again"
        )

    def _forget(self, state: MirrorState | None) -> None:
        """Deletes the objects of an old state that newer ones do not need; and it."""
        if state is None:
            return
        assert self._before is not None
        assert self._last is not None
        kept = [*self._before.files.values(), *self._last.files.values()]
        needed = {own.object for own in kept}
        unneeded = {own.object for own in state.files.values()} - needed
        try:
            self._store.delete([_list_of(state.number), *sorted(unneeded)])
        except StoreError as error:  # `clean` deletes them at the next start
            _log.info("the mirror %s keeps what it does not need: %s", self.url, error)


def in_parallel(
    function: Callable[[_Item], _Value], items: Iterable[_Item]
) -> Iterator[_Value]:
    """Calls a function that waits for the store with each item, some at a time.

    Yields:
        The values, in the order of the items; with the first that raises it ends.
    """
    pool = ThreadPoolExecutor(_AT_ONCE, "mirror")
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _list_of(number: int) -> str:
    """Name of the object that lists a state's files."""
    return f"{_STATES}/{number:08d}.json"


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _state(number: int, found: Any) -> MirrorState:
    """A state, from its list, whoever has written that.

    Raises:
        ValueError: it is not as it was written, or a name in it leads out of a folder.
    """
    fields = {"format", "run", "owner", "files", "sha256"}
    if not isinstance(found, dict) or found.keys() != fields:
        raise ValueError("it is no list of files")
    content = {name: own for name, own in found.items() if name != "sha256"}
    if found["sha256"] != _checksum(content):
        raise ValueError("it is not what its checksum says")
    if found["format"] != _FORMAT:
        raise ValueError("a newer version wrote it")
    listed = found["files"]
    texts = isinstance(found["run"], str) and isinstance(found["owner"], str)
    if not texts or not isinstance(listed, dict):
        raise ValueError("it is no list of files")
    stored = {name: _stored(name, own) for name, own in listed.items()}
    for name in stored:
        if any(str(own) in stored for own in PurePosixPath(name).parents):
            raise ValueError(f"{short_repr(name)} lies in a file")
    return MirrorState(number, found["run"], found["owner"], stored, found["sha256"])


def _stored(name: str, entry: Any) -> StoredFile:
    check_name(name)
    if isinstance(entry, list) and [type(own) for own in entry] == [str, int, str]:
        key, size, sha256 = entry
        folder, _, own = key.partition("/")
        known = folder == _OBJECTS and own and set(own) <= _HEX | {"-"}
        if known and size >= 0 and len(sha256) == 64 and set(sha256) <= _HEX:
            return StoredFile(key, size, sha256)
    raise ValueError(f"{short_repr(name)} has no object, size and checksum")


def check_name(name: str) -> None:
    """Refuses the name of a file that might lead out of its folder.

    >>> check_name("stages/V13/record.json")
    >>> check_name("../record.json")
    Traceback (most recent call last):
    ...
    ValueError: '../record.json' is no path in a folder

    Raises:
        ValueError: it is absolute, has `.`, `..`, a backslash or a control character in
            it, or is very long.
    """
    parts = name.split("/")
    if not (
        is_utf8(name)
        and name.isprintable()
        and "\\" not in name
        and len(parts) <= _MOST_PARTS
        and all(part not in ("", ".", "..") for part in parts)
        and all(len(part.encode()) <= _LONGEST_PART for part in parts)
    ):
        raise ValueError(f"{short_repr(name)} is no path in a folder")
