"""Nothing is written or deleted through a link below a folder."""

import os

import pytest

from mothernets_jax.storage import checkpoints, files, links
from mothernets_jax.storage.metrics_log import MetricsLog


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of something else, in which a file must stay."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "own").write_text("precious")
    return folder


@pytest.mark.parametrize("place", ["a", "a/b", "a/b/c"])
def test_a_link_on_the_way_is_named(tmp_path, elsewhere, place):
    root = tmp_path / "root"
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(elsewhere)
    with pytest.raises(links.LinkError) as refused:
        links.refuse_links(root, root / "a" / "b" / "c" / "d")
    assert f"{root / place} is a link to {elsewhere}: nothing is" in str(refused.value)


def test_what_is_no_link_passes(tmp_path):
    """Among it the folder itself, however it is reached, and what is not there yet."""
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "file").write_text("")
    (tmp_path / "name").symlink_to(root)
    for place in ("", "a", "a/file", "a/file/x", "b/c"):
        links.refuse_links(tmp_path / "name", tmp_path / "name" / place)


@pytest.mark.parametrize("kind", ["dead", "pipe"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    path = tmp_path / "x"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("nowhere")
    for refuse in (links.refuse_link, links.open_plain):
        with pytest.raises(links.LinkError, match=f"{path} is "):
            refuse(path)
    assert not (tmp_path / "nowhere").exists()


def test_metrics_are_not_added_to_what_is_elsewhere(tmp_path, elsewhere):
    path = tmp_path / "metrics.jsonl"
    path.symlink_to(elsewhere / "own")
    with pytest.raises(links.LinkError, match="is a link"):
        MetricsLog(path).append(stage="A")
    path.unlink()
    path.hardlink_to(elsewhere / "own")  # as in a backup by hard links
    MetricsLog(path).append(stage="A")
    assert path.read_text() == 'precious{"stage": "A"}\n'
    assert (elsewhere / "own").read_text() == "precious"


def test_a_file_is_replaced_and_not_written_through(tmp_path, elsewhere):
    path = tmp_path / "results.json"
    path.symlink_to(elsewhere / "own")
    temporary = tmp_path / f".results.json.{os.getpid()}.tmp"  # whose name is known
    temporary.symlink_to(elsewhere / "own")
    files.write_whole(path, b"new")
    assert path.read_text() == "new" and not path.is_symlink()
    assert (elsewhere / "own").read_text() == "precious"
    assert not os.path.lexists(temporary)


@pytest.mark.parametrize("name", ["", "record.json", "variables"])
def test_a_save_in_a_link_s_place(tmp_path, elsewhere, name):
    """The save's folder is refused; what is in it is replaced."""
    (elsewhere / "record.json").write_text("precious")
    (elsewhere / "variables").mkdir()
    (elsewhere / "variables" / "x").write_text("precious")
    folder = tmp_path / "save"
    if name:
        folder.mkdir()
    (folder / name).symlink_to(elsewhere / name)
    if name:
        checkpoints.save(folder, {}, {"a": 1})
        assert checkpoints.read_record(folder) == {"a": 1}
    else:
        for act in (checkpoints.remove, lambda own: checkpoints.save(own, {}, {})):
            with pytest.raises(links.LinkError, match="is a link"):
                act(folder)
    assert (elsewhere / "record.json").read_text() == "precious"
    assert (elsewhere / "variables" / "x").read_text() == "precious"


def test_metrics_in_a_pipe_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for read in (lambda: log.forget("a"), lambda: log.has("a", [])):
        with pytest.raises(links.LinkError, match="neither a file nor a folder"):
            read()
