import dataclasses
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from eegfm_lake.cohort import freeze
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.lock import find_lock, read_lock, verify
from eegfm_lake.signals import open_signal
from tests.lake.tiny import write_tiny_recording

TENS = "SELECT recording_id, start, seconds FROM windows(10, 10)"


def samples(lock, window):
    row = lock.windows.slice(window, 1).to_pylist()[0]
    file = lock.recordings.column("signal_file")[row["recording"]].as_py()
    return open_signal(lock.signals, file).read(row["first_sample"], row["samples"])


def test_a_lock_moves_with_its_lake(lake, tmp_path):
    before = read_lock(freeze(lake, TENS, name="tens").path)
    expected = samples(before, 5)
    shutil.move(lake.storage.uri, tmp_path / "elsewhere")
    lock = find_lock("tens", tmp_path / "elsewhere")
    verify(lock)
    np.testing.assert_array_equal(samples(lock, 5), expected)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    np.testing.assert_array_equal(samples(find_lock("tens", tmp_path / "link"), 5), expected)


def test_an_old_lock_still_works_after_its_recordings_are_superseded(lake):
    lock = read_lock(freeze(lake, f"{TENS} WHERE person = 'tiny/P01'", name="old").path)
    expected = samples(lock, 0)
    lake.commit_recordings(
        [write_tiny_recording(lake, f"tiny/P01/R{i}", trials=4, seed=80 + i) for i in (1, 2)]
    )
    lake.compact()
    verify(lock)
    np.testing.assert_array_equal(samples(lock, 0), expected)
    assert freeze(lake, f"{TENS} WHERE person = 'tiny/P01'", name="old").hash != lock.hash


def test_signals_that_are_gone_are_counted(lake):
    lock = read_lock(freeze(lake, f"{TENS} WHERE dataset = 'tiny'", name="tens").path)
    files = lock.recordings.column("signal_file").to_pylist()
    for file in files[:3]:
        lake.storage.delete(file)
    with pytest.raises(
        EegfmError, match=r"3 of 8 signal files are gone from .*; ingest the same sources again"
    ):
        verify(lock)
    with pytest.raises(EegfmError, match="3 of 8 signal files are gone"):
        freeze(lake, f"{TENS} WHERE dataset = 'tiny'", name="again")


@pytest.mark.parametrize(
    ("table", "column"),
    [("windows", "label"), ("windows", "fold"), ("channels", "step_uv"), ("recordings", "person")],
)
def test_a_lock_that_was_changed_is_found_out(lake, table, column):
    lock = read_lock(freeze(lake, TENS, name="tens").path)
    path = Path(lock.path) / f"{table}.parquet"
    rows = pq.read_table(path)
    index = rows.schema.get_field_index(column)
    field = rows.schema.field(index)
    values = rows.column(index).to_pylist()
    values[0] = {"string": "x", "int32": 7, "double": 9.0}[str(field.type)]
    pq.write_table(rows.set_column(index, field, [pc.cast(values, field.type)]), path)
    with pytest.raises(EegfmError, match="changed after it was written"):
        verify(read_lock(lock.path))


def test_a_damaged_lock_says_so(lake):
    lock = read_lock(freeze(lake, TENS, name="tens").path)
    (Path(lock.path) / "windows.parquet").write_bytes(b"damaged")
    with pytest.raises(EegfmError, match=r"windows\.parquet: damaged .*; freeze the cohort again"):
        read_lock(lock.path)


def test_a_lock_is_found_by_folder_by_hash_and_by_name(lake):
    uri = lake.storage.uri
    first = freeze(lake, f"{TENS} WHERE dataset = 'tiny'", name="tens")
    second = freeze(lake, TENS, name="tens")
    freeze(lake, TENS, name="tens_of_others")
    assert find_lock(first.path).hash == first.hash
    assert find_lock(f"tens@{first.hash[:12]}", uri).hash == first.hash
    assert find_lock(f"tens@{first.hash[:5]}", uri).hash == first.hash
    assert find_lock("tens", uri).hash == second.hash  # the newest
    with pytest.raises(
        UsageError, match=r"nobody: no such lock in .*; it holds: tens@\w+, tens@\w+, tens_of"
    ):
        find_lock("nobody", uri)
    with pytest.raises(UsageError, match="no lake to look in"):
        find_lock("tens")
    with pytest.raises(EegfmError, match="no lock here"):
        read_lock(uri)


def test_a_lock_of_a_newer_contract_is_refused(lake):
    path = Path(freeze(lake, TENS, name="tens").path) / "lock.json"
    path.write_text(path.read_text().replace('"contract": 1', '"contract": 99'))
    with pytest.raises(EegfmError, match="contract 99"):
        read_lock(path.parent)


def test_a_lock_elsewhere_may_name_its_signals_outright(lake, tmp_path):
    lock = read_lock(freeze(lake, TENS, name="tens").path)
    shutil.copytree(lock.path, tmp_path / "copy")
    meta = (tmp_path / "copy" / "lock.json").read_text()
    (tmp_path / "copy" / "lock.json").write_text(meta.replace('"../.."', f'"{lake.storage.uri}"'))
    copy = read_lock(tmp_path / "copy")
    verify(copy)
    np.testing.assert_array_equal(samples(copy, 3), samples(lock, 3))


def test_a_million_windows_are_hashed_in_seconds(lake):
    lock = read_lock(freeze(lake, TENS, name="tens").path)
    many = lock.windows.take(np.resize(np.arange(lock.windows.num_rows), 1_000_000))
    from eegfm_lake.lock import content_hash

    start = time.perf_counter()
    content_hash(many, lock.recordings, lock.channels)
    assert time.perf_counter() - start < 20
    assert dataclasses.is_dataclass(lock)
