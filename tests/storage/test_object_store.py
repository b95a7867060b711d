"""Stores at URLs keep what they are given, and errors are one line without secrets."""

import os

import pytest
from s3_server import new_bucket, s3_server

from mothernets_jax.storage import object_store
from mothernets_jax.storage.object_store import StoreError, check_url, open_store, read


@pytest.fixture(scope="module")
def server():
    with s3_server() as server:
        yield server


@pytest.fixture(params=["s3", "file", "memory"])
def url(request, server, tmp_path):
    if request.param == "s3":
        return new_bucket()
    return {"file": f"file://{tmp_path}/a/b", "memory": f"memory://{tmp_path.name}"}[
        request.param
    ]


@pytest.mark.extras
def test_objects_are_kept(url, tmp_path):
    store, content = open_store(url), os.urandom(5_000_000)
    assert store.names("states") == []
    store.create("states/1.json", b"one")
    with pytest.raises(FileExistsError):
        store.create("states/1.json", b"other")
    (tmp_path / "file").write_bytes(content)
    store.upload("objects/x", tmp_path / "file")
    assert open_store(url).names("states") == ["1.json"]
    assert store.names("objects") == ["x"]
    assert b"".join(store.chunks("objects/x")) == content
    assert read(store, "states/1.json", 3) == b"one"
    with pytest.raises(ValueError, match="at most 2 bytes"):
        read(store, "states/1.json", 2)
    store.delete(["objects/x", "objects/y"])
    assert store.names("objects") == []
    with pytest.raises(FileNotFoundError):
        list(store.chunks("objects/x"))


@pytest.mark.extras
def test_a_bucket_that_is_not_there_is_told_and_not_made(server, tmp_path):
    store = open_store("s3://no-such-bucket/first")
    assert store.names("states") == []
    (tmp_path / "file").touch()
    for write in (
        lambda: store.create("states/1.json", b""),
        lambda: store.upload("objects/x", tmp_path / "file"),
    ):
        with pytest.raises(StoreError, match="bucket does not exist"):
            write()


@pytest.mark.extras
def test_missing_credentials_are_told(server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="NoCredentialsError"):
        open_store("s3://bucket/first").names("states")


@pytest.mark.extras
def test_a_server_that_is_gone_is_told_without_secrets(monkeypatch):
    with s3_server():
        url = new_bucket()
        store = open_store(url)
        store.create("states/1.json", b"one")
        secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    with pytest.raises(StoreError) as error:
        store.names("states")
    assert len(str(error.value).splitlines()) == 1
    assert secret not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:hunter2@host/folder",
        "s3://key:hunter2@bucket/run",
        "https://host/run?token=hunter2",
    ],
)
def test_secrets_in_an_url_are_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match="has a password or a query in it") as error:
        check_url(url)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("url", ["", "bucket/run", "/folder", "s3://", "s3:bucket"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="expected an URL such as s3://BUCKET/PREFIX"):
        check_url(url)


def test_urls_of_stores():
    for url in ("s3://b/run", "gs://b", "file:///a/b", "abfs://c@account.net/run"):
        check_url(url)


def test_a_missing_package_is_told_with_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(object_store, "import_module", missing)
    with pytest.raises(ValueError, match=r"pip install -r requirements-mirror\.txt s3"):
        open_store("s3://bucket/run")
