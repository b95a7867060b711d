"""States of a mirror are whole or not there, whoever is killed, and have one writer."""

import hashlib
import json
from itertools import count, groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import Killed, MemoryStore, killing_at

from mothernets_jax.storage.files import DamagedError
from mothernets_jax.storage.mirror import LocalFile, Mirror, StoredFile, TakenOverError
from mothernets_jax.storage.object_store import StoreError

CONTENTS = st.dictionaries(
    st.sampled_from(["config.json", "stages/A/record.json", "stages/B/record.json"]),
    st.binary(max_size=3),
)
FIRST = {"a": b"one", "b/c": b"two", "b/d": b"two"}
SECOND = {"a": b"one", "b/c": b"three", "e": b"four"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("local")


def local(folder, contents):
    """Files on the disk with some contents, by their paths in a run's folder."""
    found = {}
    for name, content in contents.items():
        sha256 = hashlib.sha256(content).hexdigest()
        path = folder / sha256
        path.write_bytes(content)
        found[name] = LocalFile(path, len(content), sha256)
    return found


def publish(mirror, folder, contents, **options):
    return mirror.publish(local(folder, contents), {}, "run", **options)


def fetched(store):
    """Contents of the newest state, as another process finds it; None without one."""
    mirror = Mirror(store)
    state = mirror.newest()
    if state is None:
        return None
    return {name: mirror.read(stored) for name, stored in state.files.items()}


@settings(max_examples=30)
@given(st.lists(CONTENTS, max_size=6))
def test_the_newest_state_is_what_was_published_last(folder, states):
    store = MemoryStore()
    mirror = Mirror(store)
    for contents in states:
        publish(mirror, folder, contents)
        assert fetched(store) == contents
    new = [own for own, _ in groupby(states)]
    assert len(store.names("states")) == len(new[-2:])
    needed = {content for own in new[-2:] for content in own.values()}
    assert len(store.names("objects")) == len(needed)


def test_a_file_is_downloaded(folder):
    store = MemoryStore()
    stored = publish(Mirror(store), folder, {"a": b"x" * 5000}).files["a"]
    Mirror(store).download(stored, folder / "whole")
    assert (folder / "whole").read_bytes() == b"x" * 5000


def test_killed_at_any_change_the_state_before_or_the_new_one_is_whole(folder):
    seen = set()
    for number in count(1):
        store = MemoryStore()
        mirror = Mirror(store)
        publish(mirror, folder, {"old": b"0"})
        publish(mirror, folder, FIRST)
        store.fail = killing_at(store.changes + number)
        try:
            publish(mirror, folder, SECOND)
        except Killed:
            store.fail = lambda change: None
            found = fetched(store)
            assert found in (FIRST, SECOND)
            seen.add(found == SECOND)
            heir = Mirror(store)
            heir.newest()
            publish(heir, folder, SECOND, claim=True)
            heir.clean()
            assert fetched(store) == SECOND
            needed = set(FIRST.values()) | set(SECOND.values())
            assert {store.objects[f"objects/{n}"] for n in store.names("objects")} in (
                needed,
                set(SECOND.values()),
            )
            continue
        break
    assert seen == {False, True}


def test_only_new_contents_are_stored(folder):
    store = MemoryStore()
    mirror = Mirror(store)
    publish(mirror, folder, FIRST)
    assert store.changes == 3  # two contents, and the list
    assert publish(mirror, folder, FIRST).number == 1
    assert store.changes == 3
    publish(mirror, folder, SECOND)
    assert store.changes == 6
    assert publish(mirror, folder, SECOND, claim=True).number == 3


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), CONTENTS), max_size=8))
def test_of_two_writers_the_one_that_began_last_goes_on(folder, turns):
    """In any order, no state is damaged, and none is built on an older one."""
    store, last = MemoryStore(), {}
    writers = {name: Mirror(store) for name in (False, True)}
    for name in (False, True):
        writers[name].newest()
        publish(writers[name], folder, last, claim=True)
        if name:
            writers[name].clean()
    for number, (name, contents) in enumerate(turns):
        contents = {**contents, "turn": bytes([number])}
        if name:
            publish(writers[name], folder, contents)
            last = contents
        else:
            with pytest.raises(TakenOverError, match="process .* on "):
                publish(writers[name], folder, contents)
        assert fetched(store) == last


def test_of_two_that_publish_at_once_one_is_refused(folder):
    """The other takes the number between the look and the write."""
    store = MemoryStore()
    one, other = Mirror(store), Mirror(store)
    publish(one, folder, FIRST)
    other.newest()
    number = store.changes + 2  # beyond the upload, at the list

    def meanwhile(change):
        if change == number:
            store.fail = lambda change: None
            store._lock.release()
            publish(other, folder, {"theirs": b"5"})
            store._lock.acquire()

    store.fail = meanwhile
    with pytest.raises(TakenOverError):
        publish(one, folder, {"ours": b"6"})
    assert fetched(store) == {"theirs": b"5"}


def test_a_write_whose_answer_was_lost_is_ones_own(folder):
    """It is sent again by the library, which then finds it there."""
    store = MemoryStore()
    create = store.create

    def twice(name, content):
        create(name, content)
        create(name, content)

    store.create = twice
    mirror = Mirror(store)
    assert publish(mirror, folder, FIRST).number == 1
    assert publish(mirror, folder, SECOND).number == 2
    assert fetched(store) == SECOND


@pytest.mark.parametrize(
    "damage",
    [
        lambda own: own[:-3],
        lambda own: b"",
        lambda own: own.replace(b"three", b"3hree"),
    ],
)
def test_a_damaged_list_is_named_and_stepped_over(folder, caplog, damage):
    store = MemoryStore()
    mirror = Mirror(store)
    publish(mirror, folder, FIRST)
    publish(mirror, folder, {**SECOND, "three": b"0"})
    name = "states/00000002.json"
    store.objects[name] = damage(store.objects[name])
    assert fetched(store) == FIRST
    assert f"memory://bucket/run/{name} is damaged" in caplog.text
    heir = Mirror(store)
    heir.newest()
    assert publish(heir, folder, SECOND).number == 3  # 2 is taken
    assert fetched(store) == SECOND


def test_a_damaged_object_is_told(folder):
    store = MemoryStore()
    stored = publish(Mirror(store), folder, {"a": b"x" * 5000}).files["a"]
    for content in (b"x" * 4999, b"x" * 5001, b"y" * 5000, None):
        store.objects.pop(stored.object, None)
        if content is not None:
            store.objects[stored.object] = content
        with pytest.raises(
            DamagedError, match=f"{stored.object} is missing or altered"
        ):
            Mirror(store).download(stored, folder / f"part-{content and len(content)}")
        with pytest.raises(DamagedError, match="is missing or altered"):
            Mirror(store).read(stored)
    assert max(p.stat().st_size for p in folder.glob("part-*")) <= 5000


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../config.json": ["objects/a", 1, "0" * 64]}},
        {"files": {"/etc/passwd": ["objects/a", 1, "0" * 64]}},
        {"files": {"a//b": ["objects/a", 1, "0" * 64]}},
        {"files": {"a/./b": ["objects/a", 1, "0" * 64]}},
        {"files": {"a\\b": ["objects/a", 1, "0" * 64]}},
        {"files": {"a\nb": ["objects/a", 1, "0" * 64]}},
        {"files": {"a" * 256: ["objects/a", 1, "0" * 64]}},
        {"files": {"a": ["objects/../a", 1, "0" * 64]}},
        {"files": {"a": ["../a", 1, "0" * 64]}},
        {"files": {"a": ["objects/a", -1, "0" * 64]}},
        {"files": {"a": ["objects/a", True, "0" * 64]}},
        {"files": {"a": ["objects/a", 1, "0"]}},
        {"files": {n: ["objects/a", 1, "0" * 64] for n in ("a", "a/b")}},
        {"files": []},
        {"run": 3},
        {"format": 2},
        {"more": 1},
    ],
    ids=str,
)
def test_a_strangers_list_is_refused(folder, change, caplog):
    """Sealed as it should be, but with what is never written."""
    store = MemoryStore()
    publish(Mirror(store), folder, {"a": b"1"})
    (name,) = (n for n in store.objects if n.startswith("states/"))
    content = {**json.loads(store.objects[name]), **change}
    del content["sha256"]
    seal = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    store.objects[name] = json.dumps({**content, "sha256": seal}).encode()
    assert Mirror(store).newest() is None
    assert "is damaged" in caplog.text


def test_what_cannot_be_read_is_not_called_damaged(folder):
    store = MemoryStore()
    mirror = Mirror(store)
    publish(mirror, folder, FIRST)
    store.is_down = True
    with pytest.raises(StoreError, match="no route to host"):
        Mirror(store).newest()
    with pytest.raises(StoreError):
        publish(mirror, folder, SECOND)
    with pytest.raises(StoreError):
        mirror.download(StoredFile("objects/a", 1, "0" * 64), folder / "down")
    store.is_down = False
    assert fetched(store) == FIRST
