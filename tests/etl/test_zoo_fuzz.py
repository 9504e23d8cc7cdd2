"""Two thousand corrupted copies of real recordings in every format: each is read or refused, none crashes or hangs."""

import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from eegfm_etl.companions import parts
from eegfm_etl.readers import ReaderProcess, SourceError
from eegfm_etl.recipes.folder import plan
from eegfm_etl.sniff import sniff

from .test_edf_fuzz import compare_with_edfio

COPIES = 2000
LARGEST_BYTES = 3_000_000
HEADER_BYTES = 4096
TIME_LIMIT_S = 30.0
# How the reader process words that it died or did not answer.
DIED, HUNG = "crashed the reader", "took longer than"


def corrupted(data: bytes, chance: random.Random) -> bytes:
    """Flip bytes, cut, or write numbers and zeros over a stretch of the header."""
    found = bytearray(data)
    match chance.choice(("flip", "flip header", "cut", "lie", "zeros", "insert")):
        case "flip":
            for _ in range(chance.randint(1, 64)):
                found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
        case "flip header":
            for _ in range(chance.randint(1, 16)):
                found[chance.randrange(min(len(found), HEADER_BYTES))] = chance.randrange(256)
        case "cut":
            del found[chance.randrange(len(found)) :]
        case "lie":
            at = chance.randrange(min(len(found), HEADER_BYTES))
            found[at : at + 8] = chance.choice(
                (b"-1      ", b"99999999", b"0       ", b"9e99    ", b"NaN     ")
            )
        case "zeros":
            at = chance.randrange(len(found))
            found[at : at + 512] = bytes(min(512, len(found) - at))
        case "insert":
            at = chance.randrange(len(found))
            found[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 32)))
    return bytes(found)


def whole_recordings(zoo: Path, reader: ReaderProcess) -> list[Path]:
    """Recordings of the zoo that are read as they are."""
    found = []
    for job in plan(zoo, "zoo"):
        if job.rel.startswith("odd/") or job.path.is_dir() or job.path.stat().st_size > LARGEST_BYTES:
            continue
        try:
            reader.open(job.path, job.ask)
        except SourceError:
            continue
        found.append(job.path)
    return found


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(3600)
def test_two_thousand_corrupted_copies_of_real_recordings_are_read_or_refused(
    zoo_dir: Path, tmp_path: Path, record_property
):
    chance = random.Random(20)
    outcomes: Counter[str] = Counter()
    by_format: Counter[str] = Counter()
    died: list[str] = []
    hung: list[str] = []
    slowest = (0.0, "")
    with ReaderProcess(time_limit_s=TIME_LIMIT_S) as reader:
        originals = whole_recordings(zoo_dir, reader)
        for number in range(COPIES):
            original = originals[number % len(originals)]
            folder = tmp_path / str(number)
            folder.mkdir()
            files = [
                Path(shutil.copy(part, folder / part.name))
                for part in parts(original)
                if part.parent == original.parent
            ]
            victim = chance.choice(files)
            victim.write_bytes(corrupted(victim.read_bytes(), chance) if victim.stat().st_size else b"x")
            path, started = folder / original.name, time.monotonic()
            try:
                source = reader.open(path)
                samples = min(source.n_samples, 2000)
                rows = [row for row, rate in enumerate(source.header.rates) if rate == source.rate_hz]
                assert source.read(0, samples, rows).shape == (len(rows), samples)
                outcomes["read"] += 1
                if source.header.format in ("EDF", "BDF"):
                    outcomes[f"compared with edfio: {compare_with_edfio(path, source)}"] += 1
            except SourceError as error:
                outcomes["refused"] += 1
                died += [sniff(path)] if DIED in str(error) else []
                hung += [original.name] if HUNG in str(error) else []
            by_format[original.suffix.lower()] += 1
            slowest = max(slowest, (time.monotonic() - started, original.name))
            shutil.rmtree(folder)
    said = {"outcomes": dict(outcomes), "formats": dict(by_format), "slowest": slowest, "died": died}
    for name, value in said.items():
        record_property(name, value)
    assert sum(by_format.values()) == COPIES
    assert hung == []
    assert died == []
    assert outcomes["read"] + outcomes["refused"] == COPIES
