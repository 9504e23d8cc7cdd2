import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_lake.errors import EegfmError
from eegfm_lake.signals import SignalReader, SignalWriter, open_signal, store_signal
from eegfm_lake.storage import Storage

ALL_GOOD = {"flat": False, "clipped_share": 0.0, "good": True}


def quality(n_channels, n_blocks=1, **more):
    return {name: np.full((n_blocks, n_channels), value) for name, value in {**ALL_GOOD, **more}.items()}


def write(folder, blocks, steps_uv=None, name="new.parquet", at_once=2):
    n_channels = blocks[0].shape[0]
    steps_uv = np.full(n_channels, 0.1) if steps_uv is None else steps_uv
    names = [f"E{i}" for i in range(n_channels)]
    with SignalWriter(folder / name, rate_hz=200.0, channels=names, steps_uv=steps_uv) as writer:
        for first in range(0, len(blocks), at_once):
            some = blocks[first : first + at_once]
            writer.write_blocks(some, quality(n_channels, len(some)))
    return writer.close()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_window_equals_the_slice_of_what_was_written(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signal")
    n_channels = data.draw(st.integers(1, 5))
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    whole = rng.integers(-32768, 32768, (n_channels, sum(lengths)), dtype=np.int16)
    blocks = np.split(whole, np.cumsum(lengths)[:-1], axis=1)
    steps_uv = rng.uniform(0.01, 2.0, n_channels)
    storage = Storage(folder)
    reader = open_signal(storage, store_signal(storage, "any", write(folder, blocks, steps_uv)))

    assert reader.n_samples == whole.shape[1]
    assert reader.block_samples.tolist() == lengths
    first = data.draw(st.integers(0, reader.n_samples))
    n = data.draw(st.integers(0, reader.n_samples - first))
    channels = data.draw(st.none() | st.lists(st.integers(0, n_channels - 1), min_size=1))
    rows = slice(None) if channels is None else channels
    np.testing.assert_array_equal(reader.read(first, n, channels), whole[rows, first : first + n])
    expected_uv = whole[rows, first : first + n] * steps_uv[rows, None]
    found_uv = reader.read_uv(first, n, channels)
    assert found_uv.dtype == np.float32
    np.testing.assert_allclose(found_uv, expected_uv, rtol=1e-6)


def test_a_signal_file_is_packed_plain_and_has_one_row_group_a_block(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.integers(-20, 21, (8, 6000)), axis=1).astype(np.int16)
    file = write(tmp_path, np.split(smooth, 3, axis=1))
    metadata = pq.read_metadata(file.path)
    assert metadata.num_row_groups == 3
    leaves = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
    samples = next(leaf for leaf in leaves if leaf.path_in_schema == "samples.list.element")
    assert "DELTA_BINARY_PACKED" in samples.encodings
    assert not any(leaf.has_dictionary_page or leaf.is_stats_set for leaf in leaves)
    assert file.bytes * 8 / smooth.size < 8  # against 16 as it came
    assert (file.samples, file.path.stat().st_size) == (6000, file.bytes)


def test_a_signal_file_can_be_read_without_us(tmp_path):
    block = np.arange(12, dtype=np.int16).reshape(3, 4)
    with SignalWriter(tmp_path / "x", rate_hz=200, channels=list("abc"), steps_uv=np.ones(3)) as writer:
        writer.write_blocks([block], quality(3, line_ratio=np.nan, correlation=0.5))
    rows = pq.read_table(tmp_path / "x").to_pylist()
    assert [row["samples"] for row in rows] == block.tolist()
    assert [row["channel"] for row in rows] == [0, 1, 2]
    assert {row["line_ratio"] for row in rows} == {None}
    assert {row["high_freq_ratio"] for row in rows} == {None}
    assert {row["correlation"] for row in rows} == {0.5}


def test_the_same_samples_get_the_same_name(tmp_path):
    block = np.arange(20, dtype=np.int16).reshape(2, 10)
    storage = Storage(tmp_path)
    names = {store_signal(storage, "any", write(tmp_path, [block])) for _ in range(2)}
    assert len(names) == 1
    assert [entry.rel for entry in storage.list("signals")] == list(names)
    assert names != {store_signal(storage, "any", write(tmp_path, [block + np.int16(1)]))}


def test_asking_outside_the_file_says_what_it_holds(tmp_path):
    storage = Storage(tmp_path)
    rel = store_signal(storage, "any", write(tmp_path, [np.zeros((2, 10), np.int16)]))
    reader = open_signal(storage, rel)
    for first, n in ((-1, 2), (5, 6), (11, 0), (0, -1)):
        with pytest.raises(EegfmError, match="the file holds 0 to 10"):
            reader.read(first, n)
    with pytest.raises(EegfmError, match=r"channel 2 was asked for; the file holds 0 to 1"):
        reader.read(0, 1, [0, 2])
    with pytest.raises(EegfmError, match=r"channel -1 was asked for"):
        reader.read(0, 1, [-1])


def test_signals_that_are_gone_say_so(tmp_path):
    storage = Storage(tmp_path)
    rel = store_signal(storage, "any", write(tmp_path, [np.zeros((2, 10), np.int16)]))
    reader = open_signal(storage, rel)
    storage.delete(rel)
    with pytest.raises(EegfmError, match="signals are gone"):
        reader.read(0, 1)
    with pytest.raises(EegfmError, match="signals are gone"):
        SignalReader(storage, rel)


def test_a_file_that_is_no_signal_file_is_refused(tmp_path):
    storage = Storage(tmp_path)
    storage.put_bytes(b"not parquet at all", "a.parquet")
    with pytest.raises(EegfmError, match="damaged"):
        SignalReader(storage, "a.parquet")
    pq.write_table(
        pq.read_table(write(tmp_path, [np.zeros((1, 3), np.int16)]).path).select(["block"]), tmp_path / "b"
    )
    pq.write_table(pq.read_table(tmp_path / "b").replace_schema_metadata(None), tmp_path / "b")
    with pytest.raises(EegfmError, match="no signal file of a lake"):
        SignalReader(storage, "b")


def test_a_write_that_fails_leaves_no_file(tmp_path):
    def interrupted():
        with SignalWriter(tmp_path / "x", rate_hz=200, channels=["a"], steps_uv=np.ones(1)) as writer:
            writer.write_blocks([np.zeros((1, 5), np.int16)], quality(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_explained_in_one_line(tmp_path):
    (tmp_path / "signal").symlink_to("/dev/full")
    blocks = [np.random.default_rng(0).integers(-9999, 9999, (8, 2000)).astype(np.int16)] * 9
    with pytest.raises(EegfmError, match="signal: no space left on the device; free some"):
        write(tmp_path, blocks, name="signal")


@pytest.mark.parametrize(
    ("block", "columns", "said"),
    [
        (np.zeros((2, 5)), quality(2), "float64"),
        (np.zeros((3, 5), np.int16), quality(3), r"expected int16 \(2, samples\)"),
        (np.zeros((2, 0), np.int16), quality(2), "without samples"),
        (np.zeros((2, 5), np.int16), {"flat": np.zeros((1, 2), bool)}, "clipped_share is missing"),
        (np.zeros((2, 5), np.int16), quality(2, blink=1.0), "unknown quality column blink"),
        (np.zeros((2, 5), np.int16), quality(3), r"shape \(1, 3\), expected \(1, 2\)"),
    ],
)
def test_a_block_that_breaks_the_contract_is_refused(tmp_path, block, columns, said):
    writer = SignalWriter(tmp_path / "x", rate_hz=200, channels=["a", "b"], steps_uv=np.ones(2))
    with pytest.raises(EegfmError, match=said):
        writer.write_blocks([block], columns)


def test_a_reader_travels_to_another_process(tmp_path):
    storage = Storage(tmp_path)
    rel = store_signal(storage, "any", write(tmp_path, [np.arange(10, dtype=np.int16)[None]]))
    reader = pickle.loads(pickle.dumps(open_signal(storage, rel)))
    assert reader.read(3, 4).tolist() == [[3, 4, 5, 6]]


def test_signals_and_locks_need_neither_sql_nor_tables():
    code = (
        "import sys\n"
        "for name in ('duckdb', 'deltalake', 'mne', 'dask', 'torch', 'pandas'): sys.modules[name] = None\n"
        "import eegfm_lake.signals, eegfm_lake.lock, eegfm_lake.storage, eegfm_lake.electrodes\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
