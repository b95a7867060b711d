"""A store of objects in memory, for mirrors, that may fail."""

import threading
from pathlib import Path

from mothernets_jax.storage.object_store import StoreError


class Killed(BaseException):
    """The end of a process in the middle of a change."""


class MemoryStore:
    """Objects by name; `fail` is asked before each change, and may raise."""

    def __init__(self, objects=None):
        self.url = "memory://bucket/run"
        self.objects = {} if objects is None else objects
        self.changes, self.fail = 0, lambda change: None
        self.is_down = False
        self._lock = threading.Lock()

    def names(self, folder):
        self._reach()
        found = [name.split("/") for name in list(self.objects)]
        return [name for own, name in found if own == folder]

    def chunks(self, name):
        self._reach()
        if name not in self.objects:
            raise FileNotFoundError(name)
        content = self.objects[name]
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    def create(self, name, content):
        self._change()
        if name in self.objects:
            raise FileExistsError(name)
        self.objects[name] = content

    def upload(self, name, path: Path):
        self._change()
        self.objects[name] = path.read_bytes()

    def delete(self, names):
        for name in names:
            self._change()
            self.objects.pop(name, None)

    def _reach(self):
        if self.is_down:
            raise StoreError("no route to host")

    def _change(self):
        self._reach()
        with self._lock:
            self.changes += 1
            self.fail(self.changes)


def killing_at(number):
    """Fails at one change, and at all that come after it."""

    def fail(change):
        if change >= number:
            raise Killed

    return fail
