"""Event files hold each point once, as TensorBoard's own reader finds them."""

import sys

import pytest

from mothernets_jax.storage import links
from mothernets_jax.storage.event_files import EventFiles, why_unavailable

TIME = "2026-03-01T12:00:00.250+00:00"
SECONDS = 1772366400.25  # date -ud 2026-03-01T12:00:00 +%s
TAGS = ["error/train", "error/validation", "learning_rate", "loss/train"]
TAGS += ["loss/validation"]


def entry(epoch, member="a", **changes):
    """A line of the log; its training loss is that of no other epoch."""
    figures = {"train_loss": 1 / epoch, "train_error": 0.5, "learning_rate": 0.125}
    figures |= {"validation_loss": 2 / epoch, "validation_error": 0.25}
    times = {"clocks": {"time": TIME}}
    return (
        {"member": member, "epoch": epoch, "step": 8 * epoch}
        | figures
        | times
        | (changes)
    )


def append(files, *entries, stage="full_data-A"):
    for own in entries:
        files.append({"stage": stage, **own})


def reader(folder, member="a", stage="full_data-A"):
    """TensorBoard's reader of one network's curves."""
    from tensorboard.backend.event_processing import event_accumulator

    found = event_accumulator.EventAccumulator(str(folder / stage / member))
    return found.Reload()


def losses(curves):
    return [(point.step, point.value) for point in curves.Scalars("loss/train")]


def expected(*epochs):
    return [(8 * epoch, pytest.approx(1 / epoch)) for epoch in epochs]


@pytest.mark.extras
def test_tensorboard_reads_what_is_written(tmp_path):
    append(EventFiles(tmp_path), entry(1), entry(1, "b", train_loss=7.0), entry(2))
    curves = reader(tmp_path)
    assert sorted(curves.Tags()["scalars"]) == TAGS
    assert losses(curves) == expected(1, 2)
    values = {tag: curves.Scalars(tag)[1].value for tag in TAGS}
    assert list(values.values()) == [0.5, 0.25, 0.125, 0.5, 1.0]
    assert curves.Scalars("loss/train")[0].wall_time == SECONDS
    assert losses(reader(tmp_path, "b")) == [(8, 7.0)]


@pytest.mark.extras
def test_what_was_not_noted_is_left_out(tmp_path):
    """Without validation images, and of versions that counted no steps."""
    none = {"validation_loss": None, "validation_error": None}
    earlier = {
        name: v for name, v in entry(3).items() if name not in ("step", "clocks")
    }
    append(EventFiles(tmp_path), entry(1, **none))
    append(EventFiles(tmp_path), earlier, stage="earlier")
    assert sorted(reader(tmp_path).Tags()["scalars"]) == [TAGS[0], *TAGS[2:4]]
    (point,) = reader(tmp_path, stage="earlier").Scalars("loss/train")
    assert (point.step, point.wall_time) == (3, 0.0)


@pytest.mark.extras
def test_a_stage_that_goes_on_has_no_point_twice(tmp_path):
    """Nor in a TensorBoard that was reading all the while."""
    first = EventFiles(tmp_path)
    append(first, entry(1), entry(2), entry(3, train_loss=9.0))
    append(first, entry(1), stage="other")
    watching = reader(tmp_path)
    assert len(losses(watching)) == 3
    second = EventFiles(tmp_path)  # of the process that goes on after epoch 1
    second.forget("full_data-A")
    second.mend("full_data-A", [entry(1)])
    append(second, entry(2))
    for curves in (reader(tmp_path), watching.Reload()):
        assert losses(curves) == expected(1, 2)
    append(second, entry(3))
    for curves in (reader(tmp_path), watching.Reload()):
        assert losses(curves) == expected(1, 2, 3)
    assert losses(reader(tmp_path, stage="other")) == expected(1)


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"x")


DAMAGE = {
    "cut": cut,
    "longer": lengthen,
    "gone": lambda path: path.unlink(),
    "twice": lambda path: path.with_name(f"{path.name}1").write_bytes(
        path.read_bytes()
    ),
}


@pytest.mark.extras
@pytest.mark.parametrize("how", DAMAGE)
def test_files_that_are_whole_stay_and_others_are_mended(tmp_path, how):
    files, entries = EventFiles(tmp_path), [entry(1), entry(1, "b"), entry(2)]
    assert files.has("full_data-A", [])
    append(files, *entries)
    paths = sorted(tmp_path.glob("*/*/*"))
    note = tmp_path / "full_data-A" / "a" / "note.txt"
    note.write_text("own")
    EventFiles(tmp_path).mend("full_data-A", entries)
    assert sorted(tmp_path.glob("*/*/*tfevents*")) == paths
    assert not files.has("full_data-A", entries[:2])
    DAMAGE[how](paths[0])
    assert not files.has("full_data-A", entries)
    EventFiles(tmp_path).mend("full_data-A", entries)
    assert files.has("full_data-A", entries)
    assert losses(reader(tmp_path)) == expected(1, 2)
    sizes = [path.stat().st_size for path in tmp_path.glob("*/*/*tfevents*")]
    assert sum(map(bool, sizes)) == 2 and len(sizes) <= 4
    assert note.exists()


@pytest.mark.extras
def test_no_link_is_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    own = elsewhere / "a" / "events.out.tfevents.1"
    own.parent.mkdir(parents=True)
    own.write_text("precious")
    root = tmp_path / "run"
    root.mkdir()
    (root / "full_data-A").symlink_to(elsewhere)
    files = EventFiles(root, lambda path: links.refuse_links(root, path))
    for act in (
        lambda: append(files, entry(1)),
        lambda: files.forget("full_data-A"),
        lambda: files.mend("full_data-A", [entry(1)]),
    ):
        with pytest.raises(links.LinkError, match="is a link"):
            act()
    assert [*elsewhere.rglob("*tfevents*")] == [own]
    assert own.read_text() == "precious"


def test_it_is_told_why_there_is_no_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "tensorboard" in why_unavailable()


@pytest.mark.extras
def test_there_is_a_tensorboard():
    assert why_unavailable() == ""
