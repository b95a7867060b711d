"""A store of objects in memory, for mirrors, that may fail or be spied on."""

from pathlib import Path

from mothernets_jax.storage.object_store import StoreError


class Killed(BaseException):
    """What a process that is killed in the middle raises here."""


class MemoryStore:
    """Objects by name. `fail` is asked before each change, and may raise."""

    def __init__(self):
        self.url = "memory://bucket/run"
        self.objects: dict[str, bytes] = {}
        self.changes = 0
        self.fail = lambda change: None
        self.is_down = False

    def names(self, folder):
        self._reach()
        prefix = f"{folder}/"
        return [n.removeprefix(prefix) for n in self.objects if n.startswith(prefix)]

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
        assert name not in self.objects, "an object is never written twice"
        self.objects[name] = path.read_bytes()

    def delete(self, names):
        for name in names:
            self._change()
            self.objects.pop(name, None)

    def states(self):
        """Numbers of the states."""
        return sorted(int(name.partition(".")[0]) for name in self.names("states"))

    def _reach(self):
        if self.is_down:
            raise StoreError("no route to host")

    def _change(self):
        self._reach()
        self.changes += 1
        self.fail(self.changes)
