"""A finished run's folder in which anything is altered is believed in nothing false.

Each time a file or a folder of a finished run of two methods is cut, altered, deleted,
or replaced by a link, a pipe, or what another run or another method has there. Every
ensemble is then what it was or is refused in one line, and so is the run by the command
that made it, or else it is mended: it has the same results and the same ensembles to
the last bit. Nothing beside the folder changes; nothing takes long or much memory.

MOTHERNETS_JAX_DAMAGES=1000 python -m pytest -s tests/faults/test_mutated_runs.py
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_runs import without_clocks
from faults.smallest import METHODS, TWO_METHODS, ensembles, metrics_of, run
from faults.test_damaged_files import blank, cut, flip, is_one_line, other

DAMAGES = int(os.environ.get("MOTHERNETS_JAX_DAMAGES", "8"))
MOST_SECONDS, MOST_BYTES = 30, 2**30  # of one processor, and of memory
HANGS_SECONDS = 600  # by the clock, whatever else the machine does
PAGES = ("plots", "report.html")


def refused(error):
    assert is_one_line(error), error


def make_precious(folder):
    """Makes a folder of another's, which looks like an ensemble's or a stage's."""
    for name in ("record.json", "000001/record.json", "variables/x", "own"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")


def delete(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def content_of(folder):
    paths = sorted(folder.rglob("*"))
    return {p: p.is_file() and p.read_bytes() for p in paths}


def replacement(how, place, top, elsewhere, draw):
    """Path of what is copied to, or linked from, a place of a run's folder."""
    if how == "another run's":
        return top / "other" / place
    if how == "another's":  # another file or folder of the same run
        is_file = (top / "run" / place).is_file()
        paths = sorted((top / "run").rglob("*"))
        return draw.choice([p for p in paths if p.is_file() == is_file])
    if how == "link to its own":  # as where a folder was moved to another disk
        shutil.move(elsewhere.parent / "run" / place, elsewhere / "own")
        return elsewhere / "own"
    if how == "dead link":
        return elsewhere / "gone"
    if how == "link to zeros":
        return Path("/dev/zero")
    precious = elsewhere / "precious"
    return precious if (top / "run" / place).is_dir() else precious / "own"


CONTENTS = [cut, flip, flip, blank, other]
LINKS = ["link", "link to its own", "dead link", "link to zeros"]
COPIES = ["another run's", "another's", "another's"]
KINDS = ["deleted", "a folder", "a pipe", *LINKS, *COPIES]


def mutate(workdir, top, draw):
    """Alters or replaces a file or a folder of a copy of a run; says how."""
    elsewhere = workdir.parent / "elsewhere"
    make_precious(elsewhere / "precious")
    paths = [p.relative_to(workdir) for p in sorted(workdir.rglob("*"))]
    # Each level of each folder is as likely, however many files are there.
    for key in (lambda p: p.parts[0] * (len(p.parts) > 1), lambda p: str(p.parent)):
        group = draw.choice(sorted({key(p) for p in paths}))
        paths = [p for p in paths if key(p) == group]
    place = draw.choice(paths)
    path = workdir / place
    how = draw.choice([*CONTENTS, *KINDS] if path.is_file() else KINDS)
    if callable(how):
        path.write_bytes(how(path.read_bytes(), draw))
        return place, how.__name__
    if how in LINKS:
        target = replacement(how, place, top, elsewhere, draw)
        delete(path)
        path.symlink_to(target)
    elif how in COPIES:
        source = replacement(how, place, top, elsewhere, draw)
        delete(path)
        if source.is_dir():
            shutil.copytree(source, path)
        elif source.exists():
            shutil.copy(source, path)
    else:
        delete(path)
        if how == "a folder":
            path.mkdir()
        elif how == "a pipe":
            os.mkfifo(path)
    return place, how


@contextlib.contextmanager
def at_most(seconds):
    """Ends what hangs, with an error."""

    def stop(*_):
        raise AssertionError(f"not done after {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def check(workdir, top, place, results, expected):
    """Loads and mends a mutated run; says what came of it."""
    found = ensembles(workdir, refused)
    for method in METHODS:
        assert found[method] in (None, expected[method])
        if place.parts[:2] != ("ensembles", method) and len(place.parts) > 1:
            assert found[method] == expected[method]
    report = place.parts[0] in PAGES
    try:
        again = run(workdir, TWO_METHODS, report=report)
    except (ValueError, OSError) as error:
        assert is_one_line(error), error
        return f"refused: {error}"
    assert without_clocks(again) == results
    assert json.loads((workdir / "results.json").read_text()) == again
    assert ensembles(workdir) == expected
    assert metrics_of(workdir) == metrics_of(top / "run")
    return "as it was" if found == expected else "mended"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_mutated_run_is_as_it_was_or_refused_or_mended(finished_runs, tmp_path, seed):
    top, results, expected = finished_runs
    outcomes, slowest, before = Counter(), 0.0, peak_bytes()
    for number in range(DAMAGES):
        draw = random.Random(f"{seed} {number}")
        folder = tmp_path / str(number)
        shutil.copytree(top / "run", folder / "run")
        place, how = mutate(folder / "run", top, draw)
        others = content_of(folder / "elsewhere")
        started = time.process_time()
        try:
            with at_most(HANGS_SECONDS):
                found = check(folder / "run", top, place, results, expected)
        except BaseException as error:
            error.add_note(f"{how}: {place} (number {number} of seed {seed})")
            raise
        slowest = max(slowest, time.process_time() - started)
        assert content_of(folder / "elsewhere") == others, f"{how}: {place}"
        outcomes[found.partition(":")[0]] += 1
        shutil.rmtree(folder)
        if number + 1 in (DAMAGES, *range(0, DAMAGES, 50)):
            grown = peak_bytes() - before
            print(f"{dict(outcomes)}, {slowest:.1f} s, {grown / 2**20:.0f} MiB more")
    assert slowest < MOST_SECONDS
    assert peak_bytes() - before < MOST_BYTES
