"""Runs the tiny preset again and again, each time with another of its writes failing.

    LD_PRELOAD=failing_writes.so python failing_writes.py FOLDER ERROR FIRST EVERY

A program of its own, since `failing_writes.c` must be loaded before everything else.
The call with number FIRST that changes the run's folder fails with ERROR (EIO: this
call alone; ENOSPC: all that follow, too), and the run ends with one message, or does
without that call. What was saved before is still there, and the same run again ends in
the results of one in which nothing failed. Then the call FIRST + EVERY, and so on.
"""

import contextlib
import ctypes
import errno
import faulthandler
import itertools
import json
import logging
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import absl.logging
from fake_runs import without_clocks
from faults import smallest

from mothernets_jax.runs.failures import explained
from mothernets_jax.runtime.compilation import use_persistent_cache
from mothernets_jax.runtime.logs import log_our_stages
from mothernets_jax.storage import checkpoints, files, manifest

SECONDS = 120  # that no single run takes

_PRELOADED = ctypes.CDLL(None)
_PRELOADED.failed_call.restype = ctypes.c_char_p


@contextlib.contextmanager
def failing(workdir: Path, number: int, error: int) -> Iterator[list[str]]:
    """Lets one call fail; tells afterwards which, or how many there were."""
    told: list[str] = []
    lasting = error == errno.ENOSPC
    _PRELOADED.watch(str(workdir).encode(), ctypes.c_long(number), error, lasting)
    try:
        yield told
    finally:
        calls = _PRELOADED.stop_watching()
        told.append((_PRELOADED.failed_call() or str(calls).encode()).decode())


@contextlib.contextmanager
def recorded_saves() -> Iterator[dict[Path, str]]:
    """Every folder that was saved meanwhile, whole, and its record's checksum."""
    saves, save = {}, checkpoints.save

    def recording(folder: Path, *args) -> None:
        saves.pop(folder, None)
        save(folder, *args)
        saves[folder] = json.loads((folder / "record.json").read_text())["sha256"]

    checkpoints.save = recording
    try:
        yield saves
    finally:
        checkpoints.save = save


def outcome(workdir: Path) -> tuple[dict, list]:
    """What is the same on a repeat: the results, and the lines of metrics."""
    results = smallest.run(workdir)
    assert results == files.read_json(workdir / "results.json")
    return without_clocks(results), smallest.metrics_of(workdir)


def check_kept(saves: dict[Path, str]) -> None:
    """What was saved is as it was; of unfinished work, one save of it is enough."""
    of_unfinished: dict[Path, list[bool]] = defaultdict(list)
    for folder, checksum in saves.items():
        try:
            kept = checkpoints.read_record(folder) is not None
            if kept:
                record = json.loads((folder / "record.json").read_text())
                found = manifest.checksums(folder / "variables")
                kept = record["sha256"] == checksum and record["files"] == found
        except checkpoints.DamagedError:
            kept = False
        if folder.parent.name == "unfinished":
            of_unfinished[folder.parent.parent].append(kept)
        else:
            assert kept, f"{folder} is lost"
    for stage, kept in of_unfinished.items():
        assert any(kept) or checkpoints.is_finished(stage), f"work of {stage} is lost"


def main():
    folder, error_name, first, every = sys.argv[1:]
    error = getattr(errno, error_name)
    use_persistent_cache()
    absl.logging.use_absl_handler()
    log_our_stages()
    logging.getLogger("mothernets_jax").setLevel(logging.CRITICAL)
    workdir = Path(folder).resolve() / "run"
    outcome(workdir)  # compiles everything
    shutil.rmtree(workdir)
    with failing(workdir, 0, error) as told:
        expected = outcome(workdir)
    calls = int(told[0])
    print(f"{calls} calls change the folder of a run, more or less, as saves fall")
    kinds: Counter[str] = Counter()
    did_without, kept = 0, 0
    for number in itertools.count(int(first), int(every)):
        faulthandler.dump_traceback_later(SECONDS, exit=True)  # should anything hang
        shutil.rmtree(workdir, ignore_errors=True)
        found, message = None, ""
        with recorded_saves() as saves, failing(workdir, number, error) as told:
            try:
                with explained(smallest.SETTINGS, workdir):
                    found = outcome(workdir)
            except (ValueError, OSError) as raised:
                message = str(raised)
        call, _, place = told[0].partition(" ")
        if not place:  # this run had fewer calls than that
            if number > calls:
                break
            continue
        where = f"{number}: {call} {Path(place).relative_to(workdir.parent)}"
        print(f"{where}: {message or 'done without it'}", flush=True)
        assert "\n" not in message and len(message) < 600, where
        assert message or found == expected, where
        check_kept(saves)
        assert outcome(workdir) == expected, where
        kinds[call] += 1
        did_without += not message
        kept += len(saves)
    print(
        f"{error_name}: {kinds.total()} calls failed ({dict(kinds)}), of which "
        f"{did_without} were not needed; {kept} saves before them were kept; every "
        "restart ended in the same results"
    )


if __name__ == "__main__":
    main()
