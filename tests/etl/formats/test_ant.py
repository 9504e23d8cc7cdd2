"""ANT's .cnt and .evt are followed before its reader, which a damaged one kills, may see them."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm_etl.formats.ant import refuse_damaged_chunks, refuse_damaged_events
from eegfm_etl.readers import ReaderProcess
from eegfm_etl.source import SourceError

RECORDING = Path("person.cnt")
INFO = b"[StartDate]\n45533.67\n[StartFraction]\n0.97\n[SubjectDateOfBirth]\n0 0 0 6 1 124 0 0 0\n\0"


def text(words: bytes) -> bytes:
    """A text after its length, which takes more bytes where it is longer."""
    for form, limit in (("<B", 0xFF), ("<BH", 0xFFFF)):
        if len(words) < limit:
            return struct.pack(form, *[0xFF] * (len(form) - 2), len(words)) + words
    return struct.pack("<BHI", 0xFF, 0xFFFF, len(words)) + words


def named(kind: bytes) -> bytes:
    return struct.pack("<i", -1) + text(kind)


TEXTS = st.binary(max_size=300).filter(lambda words: b"\0" not in words)
NAMES = TEXTS.filter(bool) | st.sampled_from([b"EventCode", b"Condition", b"Impedance"])
VALUES = st.one_of(
    st.sampled_from([0, 1]).map(lambda kind: struct.pack("<H", kind)),
    st.integers(-(2**15), 2**15 - 1).map(lambda value: struct.pack("<Hh", 2, value)),
    st.integers(-(2**31), 2**31 - 1).map(lambda value: struct.pack("<Hi", 3, value)),
    st.floats().map(lambda value: struct.pack("<Hd", 5, value)),
    st.text("abc", max_size=20).map(
        lambda words: struct.pack("<Hi", 8, 2 * len(words)) + words.encode("utf-16-le")
    ),
    st.lists(st.floats(width=32), max_size=40).map(
        lambda values: struct.pack(f"<HHfI{len(values)}f", 0x200C, 4, 0.0, len(values), *values)
    ),
)


@st.composite
def events(draw: st.DrawFn, version: int) -> bytes:
    kind = draw(st.sampled_from([b"dcEpochEvent_c", b"dcEventMarker_c", b"dcArtefactEvent_c"]))
    found = named(b"class " + kind) + struct.pack("<i16si", draw(st.integers(0, 99)), b"", 0)
    found += text(draw(TEXTS)) + (text(draw(TEXTS)) if version >= 78 else b"")
    found += struct.pack("<iib4d", 4, 0, 1, 0.0, 0.0, 45533.7, draw(st.floats(0, 1)))
    if version >= 19:
        described = draw(st.lists(st.tuples(NAMES, VALUES, TEXTS), max_size=3))
        found += struct.pack("<i", len(described))
        found += b"".join(text(name) + value + text(unit) for name, value, unit in described)
    match kind:
        case b"dcEpochEvent_c":
            return found + bytes(0 if version >= 33 else 4)
        case b"dcEventMarker_c":
            return (
                found
                + text(b"") * 2
                + text(draw(TEXTS))
                + bytes(5 if version >= 103 else 2 if version >= 35 else 0)
            )
        case _:
            return found + text(b"") * 2 + (text(draw(TEXTS)) if version >= 174 else b"")


@st.composite
def libraries(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from([9, 20, 34, 40, 80, 104, 180]))
    held = draw(st.lists(events(version), min_size=1, max_size=4))
    head = struct.pack("<3I3i", 0, 0, 0, version, 0, 0) + named(b"class dcEventsLibrary_c") + text(b"")
    return head + struct.pack("<I", len(held)) + b"".join(held)


@given(libraries())
def test_events_of_every_version_are_followed_to_their_end(data: bytes):
    refuse_damaged_events(data, RECORDING)


@given(libraries(), st.data())
def test_events_cut_off_anywhere_are_refused_with_what_to_do(data: bytes, chosen: st.DataObject):
    with pytest.raises(SourceError, match="move it away to read the recording without its events"):
        refuse_damaged_events(data[: chosen.draw(st.integers(0, len(data) - 1))], RECORDING)


@pytest.mark.parametrize(
    "value",
    [
        text(b"") + struct.pack("<Hi", 3, 1),  # without a name
        text(b"Name:") + struct.pack("<Hi", 3, 1),  # a description that is no text
        text(b"Depth") + struct.pack("<H", 99),  # of no known type
        text(b"Depth") + struct.pack("<HHi", 0x2003, 3, 1),  # an array of integers
        text(b"Depth") + struct.pack("<Hi", 8, -2),  # a text of minus two bytes
    ],
)
def test_a_value_that_antio_does_not_follow_is_refused(value: bytes):
    head = struct.pack("<3I3i", 0, 0, 0, 104, 0, 0) + named(b"class dcEventsLibrary_c") + text(b"")
    event = named(b"class dcEpochEvent_c") + struct.pack("<i16si", 1, b"", 0) + text(b"") * 2
    event += struct.pack("<iib4d", 4, 0, 1, 0.0, 0.0, 45533.7, 0.5) + struct.pack("<i", 1) + value + text(b"")
    with pytest.raises(SourceError, match="cannot be followed"):
        refuse_damaged_events(head + struct.pack("<I", 1) + event, RECORDING)


def chunk(name: bytes, content: bytes, wide: bool) -> bytes:
    size = struct.pack("<Q" if wide else "<I", len(content))
    return name + size + content + bytes(len(content) % 2)


def cnt(
    wide: bool,
    *,
    channels: tuple[int, ...] = (1, 0, 2),
    starts: tuple[int, ...] = (0, 40),
    length: int = 10,
    info: bytes = INFO,
) -> bytes:
    number = "Q" if wide else "I"
    table = struct.pack(f"<{1 + len(starts)}{number}", length, *starts)
    samples = b"".join(
        [
            chunk(b"chan", struct.pack(f"<{len(channels)}H", *channels), wide),
            chunk(b"data", bytes(100), wide),
            chunk(b"ep  ", table, wide),
        ]
    )
    content = chunk(b"LIST", b"raw3" + samples, wide) + chunk(b"eeph", b"[File Version]\n4.2\n", wide)
    return chunk(b"RF64" if wide else b"RIFF", b"CNT " + content + chunk(b"info", info, wide), wide)


@pytest.mark.parametrize("wide", [False, True])
def test_a_whole_tree_of_chunks_passes_and_one_cut_off_anywhere_is_refused(wide: bool):
    whole = cnt(wide)
    refuse_damaged_chunks(BytesIO(whole), RECORDING)
    for end in range(4, len(whole)):
        with pytest.raises(SourceError, match="damaged or cut off"):
            refuse_damaged_chunks(BytesIO(whole[:end]), RECORDING)


def test_zeros_where_a_chunk_should_begin_are_refused():
    with pytest.raises(SourceError, match="no chunk begins at byte"):
        refuse_damaged_chunks(BytesIO(cnt(True).replace(b"eeph", bytes(4))), RECORDING)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"channels": (1, 1, 2)}, "table of channels"),
        ({"channels": (0, 1, 3)}, "table of channels"),
        ({"starts": (40, 0)}, "table of epochs"),
        ({"starts": (0, 4000)}, "table of epochs"),
        ({"starts": ()}, "table of epochs"),
        ({"length": 2**29}, "table of epochs"),
        ({"info": INFO.replace(b"45533.67\n", b"")}, "a date"),
        ({"info": INFO.replace(b"0 0 0 6 1", b"0 0 0 6")}, "a date"),
    ],
)
def test_tables_that_lead_a_reader_astray_are_refused(changed: dict, words: str):
    with pytest.raises(SourceError, match=words):
        refuse_damaged_chunks(BytesIO(cnt(True, **changed)), RECORDING)


@pytest.mark.shared
def test_a_recording_whose_events_would_kill_its_reader_is_refused_by_name(zoo_dir: Path, tmp_path: Path):
    original = zoo_dir / "ant" / "test-user-annotation.cnt"
    (tmp_path / original.name).write_bytes(original.read_bytes())
    events = original.with_suffix(".evt").read_bytes()
    at = events.index(b"\x09Condition")
    (tmp_path / "test-user-annotation.evt").write_bytes(events[:at] + b"\0" + events[at + 10 :])
    with ReaderProcess() as reader:
        with pytest.raises(SourceError, match=r"its events \(test-user-annotation.evt\) cannot be followed"):
            reader.header(tmp_path / original.name)
        (tmp_path / "test-user-annotation.evt").unlink()
        assert reader.header(tmp_path / original.name).n_samples == reader.header(original).n_samples
