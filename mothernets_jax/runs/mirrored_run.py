"""A run whose finished work is copied to a mirror, and fetched from there.

The run's folder stays on a local disk. What is finished in it, and the newest saves of
what is not, are published in the background whenever something was saved; a run that
begins on another disk fetches them, and goes on. Nothing of its results depends on it.

The folder's `.mirror.json` has the run's random name and the state of the mirror that
the folder is at: a mirror at another state was written from elsewhere since, and is
fetched.
"""

import contextlib
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mothernets_jax.config.settings import Settings
from mothernets_jax.data import run_record
from mothernets_jax.runs import mirrored_files, run_folder
from mothernets_jax.runs.publisher import Publisher
from mothernets_jax.runs.run_folder import CONFIG, MIRROR, RunLock
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.interruption import InterruptedRunError
from mothernets_jax.stages.autosave import Guard, unguarded
from mothernets_jax.stages.context import STAGES
from mothernets_jax.storage import files, object_store
from mothernets_jax.storage.mirror import Mirror, MirrorState, TakenOverError
from mothernets_jax.storage.object_store import ObjectStore, StoreError
from mothernets_jax.storage.pinned import PinnedFiles, pinned_files

_log = logging.getLogger(__name__)

_PINNED = ".mirror"  # the folder, in the run's, of what is being copied
_MOST_BYTES = 2**16  # of the folder's note
_TRIES = 5  # to fetch, or to take over, while another process goes on to publish
_GRACE_SECONDS = 90.0  # to publish in, where a run was told to stop


class MirrorBehindError(ValueError):
    """Error for a run that is done but for its mirror, which could not be written.

    Attributes:
        exit_code: that of `EX_TEMPFAIL`, by which the same command is worth a try.
    """

    exit_code = 75


class _Note(NamedTuple):
    """What a folder knows of its mirror.

    Attributes:
        run: random name of the run.
        state: checksum of the state's list; empty while it is fetched.
    """

    run: str
    state: str


@contextlib.contextmanager
def mirrored(where: str | ObjectStore | None, workdir: Path) -> Iterator["MirroredRun"]:
    """Context of a run, after which its mirror has all of it.

    Args:
        where: URL of the mirror, or its store; None for a run without one.
        workdir: the run's folder.

    Raises:
        MirrorBehindError: the run is done, and the mirror could not be written.
        TakenOverError: another process writes the mirror.
        InterruptedRunError: that of the run, which says so where the mirror is behind.
    """
    run = MirroredRun(workdir, where)
    try:
        yield run
    except InterruptedRunError as error:
        if behind := run.close(_GRACE_SECONDS):
            raise InterruptedRunError(error.exit_code - 128, behind) from None
        raise
    except BaseException as error:
        behind = run.close(_GRACE_SECONDS)
        if behind and not isinstance(error, TakenOverError):
            _log.warning("%s", behind)
        raise
    multihost.run_on_host0(run.finish)


class MirroredRun:
    """A run's mirror, of which only the first host reads and writes."""

    def __init__(self, workdir: Path, where: str | ObjectStore | None = None):
        """Prepares the mirror without touching it.

        Args:
            workdir: the run's folder.
            where: URL of the mirror, or its store; None for no mirror.
        """
        self._workdir, self._where = workdir, where
        self._mirror: Mirror | None = None
        self._run = ""
        self._known: MirrorState | None = None  # the newest state, as last seen
        self._guard: Guard = unguarded
        self._publisher: Publisher | None = None

    def fetch(self, settings: Settings, owner: RunLock) -> None:
        """Fetches what the mirror has and the run's folder has not.

        Args:
            settings: the run's settings.
            owner: the lock on the run's folder, taken where something is written.

        Raises:
            ValueError: the mirror cannot be read, is damaged where it says what the run
                is, or holds another experiment or another run than the folder.
        """
        self._guard = owner.check
        if self._where is None:
            return
        run_folder.check_experiment(self._workdir, settings)
        with self._explained():
            mirror = self._opened()
            self._fetch_all(mirror, settings, owner)

    def begin(self, settings: Settings, owner: RunLock) -> None:
        """Tells the mirror what the run is, and begins to publish what it saves.

        Args:
            settings: the run's settings.
            owner: the lock on the run's folder, which is taken.

        Raises:
            ValueError: the mirror cannot be written, or another process writes it.
        """
        if self._where is None:
            return
        with self._explained():
            mirror = self._opened()
            for tries_left in reversed(range(_TRIES)):
                try:
                    self._claim(mirror)
                    break
                except TakenOverError:  # by the process that this one takes it from
                    if not tries_left or self._known is None:
                        raise
                    self._fetch_all(mirror, settings, owner)
            mirror.clean()
        self._started().notify()

    def saved(self) -> None:
        """Notes that something was saved, which is published in the background."""
        if self._publisher is not None:
            self._publisher.notify()

    def guard(self, path: Path) -> None:
        """Makes sure that the run may go on to write to its folder.

        Raises:
            ValueError: the path may not be written to, or another process has taken
                over the mirror.
        """
        if self._publisher is not None and self._publisher.taken is not None:
            raise self._publisher.taken
        self._guard(path)

    def finish(self) -> None:
        """Publishes all of a run that is done.

        Raises:
            MirrorBehindError: the mirror could not be written.
            TakenOverError: another process writes the mirror.
        """
        if self._where is None:
            return
        publisher = self._started()
        behind = self.close(None)
        if publisher.taken is not None:
            raise publisher.taken
        if behind:
            raise MirrorBehindError(
                f"everything is done and saved in {self._workdir}, but {behind}"
            )

    def close(self, seconds: float | None) -> str:
        """Publishes what is saved, and nothing more from then on.

        Args:
            seconds: the longest time to wait for it; None to wait for its end.

        Returns:
            Why the mirror is behind; empty where it is not, or was never begun.
        """
        if self._publisher is None:
            return ""
        if seconds is not None:
            _log.info("what was saved is copied to the mirror %s", self._opened().url)
        reason = self._publisher.close(seconds)
        if not reason or self._publisher.taken is not None:
            return reason
        return (
            f"the mirror {self._opened().url} is behind ({reason}): what is newer is "
            "on this disk alone, from where the same command copies it"
        )

    def _started(self) -> Publisher:
        if self._publisher is None:
            self._publisher = Publisher(self._publish, self._opened().url)
        return self._publisher

    def _opened(self) -> Mirror:
        if self._mirror is None:
            where = self._where
            assert where is not None
            store = object_store.open_store(where) if isinstance(where, str) else where
            self._mirror = Mirror(store)
        return self._mirror

    def _fetch_all(self, mirror: Mirror, settings: Settings, owner: RunLock) -> None:
        """Fetches a state that is the newest one to the end.

        Raises:
            ValueError: see `fetch`.
        """
        if not any(self._fetch_newest(mirror, settings, owner) for _ in range(_TRIES)):
            raise ValueError(
                f"the mirror {mirror.url} changes while it is fetched: stop the other "
                "process that writes it"
            )

    def _fetch_newest(self, mirror: Mirror, settings: Settings, owner: RunLock) -> bool:
        """Fetches the newest state; False where it has been replaced meanwhile."""
        state, note = mirror.newest(), self._read_note()
        self._known = state
        self._run = note.run if note else state.run if state else secrets.token_hex(8)
        if state is None or note == _Note(state.run, state.sha256):
            return True
        self._check_same_run(mirror, state, note, settings)
        files.make_folder(self._workdir)
        owner.reserve(settings)
        self._write_note(state.run, "")
        wanted = mirrored_files.missing_files(self._workdir, state)
        with self._pinned_files() as pinned:
            damaged = mirrored_files.fetch_files(
                mirror, wanted, self._workdir, pinned, self._guard
            )
        if damaged and mirror.newest() != state:
            return False
        if worst := [name for name in mirrored_files.BEGINNING if name in damaged]:
            raise ValueError(_damaged(mirror, f"{worst[0]} is missing or altered"))
        if damaged:
            _log.warning(
                "the mirror %s is damaged: %d of %d files are missing or altered, %s "
                "for one. What needs them is made again",
                mirror.url,
                len(damaged),
                len(state.files),
                damaged[0],
            )
        self._write_note(state.run, state.sha256)
        _log.info("%d files fetched from the mirror %s", len(wanted), mirror.url)
        return True

    def _check_same_run(
        self,
        mirror: Mirror,
        state: MirrorState,
        note: _Note | None,
        settings: Settings,
    ) -> None:
        """Compares a state with the settings and the folder, before it is fetched.

        Raises:
            ValueError: it is another experiment's or another run's, or damaged.
        """
        try:
            mirrored_files.check_files(state)
            found = run_folder.parse_settings(mirror.read(state.files[CONFIG]))
        except ValueError as error:
            raise ValueError(_damaged(mirror, str(error))) from None
        places = run_record.NAME not in state.files
        if different := run_folder.differences(found, settings, places=places):
            raise ValueError(
                f"the mirror {mirror.url} holds another experiment: {different}. "
                "Choose another mirror"
            )
        if state.run != self._run or note is None and _holds_work(self._workdir):
            raise ValueError(
                f"{self._workdir} and the mirror {mirror.url} hold two runs of this "
                "experiment that were begun apart: choose another mirror, or delete "
                "that folder to go on with the mirror's"
            )

    def _claim(self, mirror: Mirror) -> None:
        """Publishes what the run is, and by that, who works on it from now on."""
        with self._pinned_files() as pinned:
            local = mirrored_files.beginning_files(self._workdir, pinned)
            stored = {} if self._known is None else self._known.files
            state = mirror.publish(local, stored, self._run, claim=True)
        self._note_published(state)

    def _publish(self) -> None:
        """Publishes what is finished and saved now."""
        known = {} if self._known is None else self._known.files
        checksums = {own.sha256 for own in known.values()}
        mirror = self._opened()
        with self._pinned_files() as pinned:
            local = mirrored_files.finished_files(self._workdir, pinned, checksums)
            state = mirror.publish(local, {}, self._run)
        self._note_published(state)

    def _note_published(self, state: MirrorState) -> None:
        if self._known is None or self._known.sha256 != state.sha256:
            self._write_note(state.run, state.sha256)
        self._known = state

    def _pinned_files(self) -> contextlib.AbstractContextManager[PinnedFiles]:
        return pinned_files(self._workdir / _PINNED, self._guard)

    def _read_note(self) -> _Note | None:
        """The note of the run's folder; None where there is none that is whole."""
        path = self._workdir / MIRROR
        with contextlib.suppress(files.DamagedError, TypeError, FileNotFoundError):
            found = _Note(**files.read_json(path, most_bytes=_MOST_BYTES))
            if isinstance(found.run, str) and isinstance(found.state, str):
                return found
        return None

    def _write_note(self, run: str, state: str) -> None:
        path = self._workdir / MIRROR
        self._guard(path)
        files.write_json(path, _Note(run, state)._asdict())

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns errors of the store into one message on what to do."""
        try:
            yield
        except StoreError as error:
            url = "" if self._mirror is None else self._mirror.url
            raise ValueError(
                f"the mirror {url} cannot be used ({error}): expected a bucket that is "
                "there, and that this machine has the right to read and write"
            ) from None


def _holds_work(workdir: Path) -> bool:
    """Tells whether a run's folder holds a stage, finished or not."""
    return any(path.is_file() for path in (workdir / STAGES).rglob("*"))


def _damaged(mirror: Mirror, how: str) -> str:
    return (
        f"the mirror {mirror.url} is damaged ({how}): choose another one, or delete it "
        "to begin again"
    )
