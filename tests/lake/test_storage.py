import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.storage import Storage


@pytest.mark.parametrize("character", "%[]*?^|\\")
def test_a_path_that_the_table_cannot_take_is_refused(tmp_path, character):
    with pytest.raises(UsageError, match="must not contain"):
        Storage(tmp_path / f"a{character}b")


def test_an_unknown_kind_of_storage_is_refused():
    with pytest.raises(UsageError, match=r"gs://.*s3://bucket/prefix"):
        Storage("gs://bucket/lake")


def test_an_object_store_without_a_bucket_is_refused():
    with pytest.raises(UsageError, match="names no bucket"):
        Storage("s3://")


def test_a_folder_may_be_written_in_several_ways(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {Storage("lake"), Storage(tmp_path / "lake"), Storage(f"file://{tmp_path}/lake/")} == {
        Storage(str(tmp_path / "lake"))
    }


@given(content=st.binary(max_size=200))
def test_what_is_put_comes_back(content, tmp_path_factory):
    storage = Storage(tmp_path_factory.mktemp("storage"))
    storage.put_bytes(content, "deep/er/file")
    assert storage.read_bytes("deep/er/file") == content
    (entry,) = storage.list("deep")
    assert (entry.rel, entry.bytes) == ("deep/er/file", len(content))


def test_a_file_is_never_half_there(tmp_path, monkeypatch):
    storage = Storage(tmp_path / "lake")
    storage.put_bytes(b"old", "a/file")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "local").write_bytes(b"new")
    monkeypatch.setattr(os, "fsync", full)
    for put in (
        lambda: storage.put_bytes(b"new", "a/file"),
        lambda: storage.put_file(tmp_path / "local", "a/file"),
        lambda: storage.put_file(tmp_path / "local", "a/file", move=True),
    ):
        with pytest.raises(EegfmError, match="a/file: no space left on the device"):
            put()
    assert storage.read_bytes("a/file") == b"old"
    assert [entry.rel for entry in storage.list()] == ["a/file"]
    assert (tmp_path / "local").read_bytes() == b"new"


def test_what_lies_on_another_file_system_is_copied(tmp_path, monkeypatch):
    storage = Storage(tmp_path / "lake")
    (tmp_path / "local").write_bytes(b"signal")
    rename = os.replace

    def across(source, target):
        if str(source) == str(tmp_path / "local"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "replace", across)
    storage.put_file(tmp_path / "local", "a", move=True)
    assert storage.read_bytes("a") == b"signal"
    assert not (tmp_path / "local").exists()


def test_missing_files_say_so_and_can_be_deleted(tmp_path):
    storage = Storage(tmp_path)
    with pytest.raises(EegfmError, match="nowhere: no such file"):
        storage.read_bytes("nowhere")
    storage.delete("nowhere")
    assert storage.list("nowhere") == []


def test_a_root_can_be_named_from_inside(tmp_path):
    inside = Storage(tmp_path / "lake" / "cohorts" / "mine@abc")
    assert inside.below("../..") == Storage(tmp_path / "lake")
    assert Storage("s3://bucket/some/lake/cohorts/mine@abc").below("../..") == Storage(
        "s3://bucket/some/lake"
    )
