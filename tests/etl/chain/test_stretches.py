"""Blocks that are looked at together."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm_etl.chain import stretches
from tests.etl.chain import NAMES, noise, run


@given(
    lengths=st.lists(st.sampled_from([1, 7, 2000, 2001, 10**6]), max_size=40),
    gap=st.integers(0, 1),
    sample_bytes=st.sampled_from([4, 512, 2048, 10**9]),
)
def test_stretches_are_the_blocks_in_their_order_few_and_small(lengths, gap, sample_bytes):
    borders, at = [], 0
    for length in lengths:
        borders.append((at, at + length))
        at += length + gap
    found = stretches.stretches(borders, sample_bytes)
    cut = []
    for one in found:
        length = (one.stop - one.start) // one.blocks
        assert one.blocks == 1 or (one.blocks <= 4 and (one.stop - one.start) * sample_bytes <= 16 * 2**20)
        cut += [(one.start + i * length, one.start + (i + 1) * length) for i in range(one.blocks)]
    assert cut == borders
    assert all(before.stop <= after.start for before, after in pairwise(found))


def test_blocks_judged_together_are_judged_as_each_alone(tmp_path, monkeypatch):
    data_uv = noise(16, 95, 160)
    data_uv[3, 4000:6000] *= 40
    data_uv[5] = np.clip(data_uv[5], *np.quantile(data_uv[5], [0.1, 0.9]))
    data_uv[7, 1600:3200] = 3.0
    together, together_CN = run(data_uv, 160, tmp_path / "together.parquet", names=NAMES)
    monkeypatch.setattr(stretches, "_BLOCKS", 1)
    alone, alone_CN = run(data_uv, 160, tmp_path / "alone.parquet", names=NAMES)
    assert np.array_equal(together_CN, alone_CN)
    assert len(together.blocks) == len(alone.blocks) == 10
    for one, other in zip(together.blocks, alone.blocks, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    for one, other in zip(together.channels, alone.channels, strict=True):
        assert (one["status"], one["reasons"]) == (other["status"], other["reasons"])
    assert together.fingerprint == alone.fingerprint
    for key in ("before_uv2_hz", "after_uv2_hz"):
        known = [(a, b) for a, b in zip(together.spectrum[key], alone.spectrum[key], strict=True) if a and b]
        assert len(known) > 100
        assert all(a == pytest.approx(b, rel=1e-4) for a, b in known)
