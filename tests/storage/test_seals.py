"""Checksums of a run's files are those of sha256sum, and of earlier versions."""

import hashlib
import subprocess

import pytest

from mothernets_jax.storage import files, seals

SUM = hashlib.sha256(b"content").hexdigest()


def test_sha256sum_agrees(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "x").write_bytes(b"content")
    path = "a folder/x"
    assert seals.of_content(b"content") == seals.of_file(tmp_path / path) == SUM
    seals.write(tmp_path, {path: SUM})
    assert seals.read(tmp_path) == {path: SUM}
    subprocess.run(
        ["sha256sum", "--check", "--strict", ".results.sha256"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )


def test_the_bare_checksum_of_an_earlier_version(tmp_path):
    assert seals.read(tmp_path) == {}
    (tmp_path / ".results.sha256").write_text(SUM)
    assert seals.read(tmp_path) == {"results.json": SUM}


@pytest.mark.parametrize(
    "text",
    ["", "\n", SUM[:-1], f"{SUM}  a", f"{SUM} a\n", f"{SUM}  a\n{SUM}\n", "\xff"],
)
def test_damage_is_noticed(tmp_path, text):
    (tmp_path / ".results.sha256").write_text(text, encoding="latin-1")
    with pytest.raises(files.DamagedError, match=r"results\.sha256 is damaged"):
        seals.read(tmp_path)
