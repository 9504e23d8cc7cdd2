import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.config import ReaderConfig
from eegfm.data import Loader, WindowReader
from eegfm.data.loader import plan_epoch
from tests.eegfm.locks import CAP, Made, write_lock


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    made = [Made(names=CAP[:n], segments=(4000,), band_high=64.0 if n == 5 else 75.0) for n in (13, 9, 13, 5)]
    return WindowReader(write_lock(tmp_path_factory.mktemp("lake"), made), ReaderConfig())


def loader(reader, **changes):
    return Loader(reader, np.arange(len(reader)), **({"batch": 4, "seed": 7, "workers": 0} | changes))


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 3), min_size=1, max_size=80),
    batch=st.integers(1, 16),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 50),
)
def test_every_epoch_is_a_permutation_and_no_batch_mixes_groups(groups, batch, seed, epoch):
    group_N = np.array(groups)
    plan = plan_epoch(group_N, batch, (seed, epoch))
    assert sorted(np.concatenate(plan)) == list(range(len(groups)))
    assert all(len(set(group_N[rows])) == 1 and len(rows) <= batch for rows in plan)
    assert len(plan) == len(plan_epoch(group_N, batch, (seed, epoch + 1)))
    again = plan_epoch(group_N, batch, (seed, epoch))
    assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))


def test_another_epoch_and_another_seed_are_another_order():
    plans = [np.concatenate(plan_epoch(np.zeros(100, int), 8, key)) for key in ((0, 0), (0, 1), (1, 0))]
    assert not any(np.array_equal(a, b) for a in plans for b in plans if a is not b)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_batches(reader, workers):
    alone = list(loader(reader).batches(0, 30))
    helped = list(loader(reader, workers=workers, prefetch=3).batches(0, 30))
    assert len(alone) == len(helped) == 30
    for a, b in zip(alone, helped, strict=True):
        assert (a.step, a.epoch) == (b.step, b.epoch)
        for name in ("x_BCT", "channel_mask_BC", "window_B", "unit_uv_B", "band_high_hz_BC"):
            assert torch.equal(getattr(a, name), getattr(b, name))
        assert torch.equal(a.positions_BC3.nan_to_num(9), b.positions_BC3.nan_to_num(9))


@settings(max_examples=10, deadline=None)
@given(start=st.integers(0, 25))
def test_a_run_resumed_at_any_step_sees_the_windows_it_would_have_seen(reader, start):
    whole = [batch.window_B.tolist() for batch in loader(reader).batches(0, 25)]
    rest = [batch.window_B.tolist() for batch in loader(reader, workers=2).batches(start, 25)]
    assert rest == whole[start:]


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batches_that_one_rank_would_see(reader, world):
    ranks = [loader(reader, rank=rank, world=world) for rank in range(world)]
    for step in range(6):
        together = np.concatenate([rank.read(step).window_B.numpy() for rank in ranks])
        assert sorted(together) == sorted(loader(reader).windows_of(step))


def test_padding_never_leaks(reader):
    for batch in loader(reader, mix=True, batch=7).batches(0, 6):
        absent = ~batch.channel_mask_BC
        assert not batch.x_BCT[absent].any()
        assert batch.positions_BC3[absent].isnan().all()
        assert not batch.band_high_hz_BC[absent].any()
        for row, window in enumerate(batch.window_B.tolist()):
            alone = reader.read(window)
            exists = batch.channel_mask_BC[row]
            assert int(exists.sum()) == len(alone.names)
            np.testing.assert_array_equal(batch.x_BCT[row][exists], alone.scaled())
            np.testing.assert_array_equal(batch.positions_BC3[row][exists], alone.positions_C3)


def test_mixed_batches_hold_several_montages_and_unmixed_ones_one(reader):
    mixed = list(loader(reader, mix=True, batch=8).batches(0, 4))
    assert any(len(set(b.channel_mask_BC.sum(dim=1).tolist())) > 1 for b in mixed)
    assert all(b.channel_mask_BC.all() for b in loader(reader).batches(0, 10))


def test_an_abandoned_loader_leaves_no_thread_behind_and_an_error_reaches_the_consumer(reader):
    import threading

    before = threading.active_count()
    for _ in loader(reader, workers=2).batches(0, 20):
        break
    assert threading.active_count() == before

    def fail(batch):
        raise RuntimeError("in the worker")

    with pytest.raises(RuntimeError, match="in the worker"):
        next(loader(reader, workers=2, prepare=fail).batches(0, 3))
