"""The bytes of EDF and BDF records: any columns of any records, without the rest of the file in memory."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from eegfm_etl.edf import EdfHeader
from eegfm_etl.source import SourceError

_BATCH_BYTES = 4 * 2**20
_PAGE_BYTES = 64 * 2**10  # smaller records are read whole: a call for each costs more
_WORTH_A_SEEK = 4  # times as many bytes that nobody wants


class EdfRecords:
    """An open EDF or BDF file.

    Parameters
    ----------
    header : EdfHeader
    """

    def __init__(self, header: EdfHeader) -> None:
        self.header = header
        self._file = header.path.open("rb", buffering=0)

    def columns(self, first: int, stop: int, start_byte: int, n_bytes: int) -> Iterator[np.ndarray]:
        """Yield bytes `start_byte` onwards of records `first` to `stop`: (records, n_bytes) uint8, in batches."""
        record_bytes = self.header.record_bytes
        whole = record_bytes <= max(_PAGE_BYTES, _WORTH_A_SEEK * n_bytes)
        batch = max(1, _BATCH_BYTES // (record_bytes if whole else n_bytes))
        for at in range(first, stop, batch):
            count = min(batch, stop - at)
            if whole:
                data = self._bytes(at * record_bytes, count * record_bytes).reshape(count, record_bytes)
                yield data[:, start_byte : start_byte + n_bytes]
            else:
                yield np.stack(
                    [self._bytes((at + i) * record_bytes + start_byte, n_bytes) for i in range(count)]
                )

    def digital(self, signals: Sequence[int], start: int, stop: int) -> np.ndarray:
        """Give samples start to stop of signals of one rate: (signals, stop - start) float64, unscaled."""
        header = self.header
        out = np.empty((len(signals), max(stop - start, 0)))
        if out.size == 0:
            return out
        per_record = header.samples_per_record[signals[0]]
        first, last = start // per_record, -(-stop // per_record)
        for row, count in _runs(signals):
            at_byte = header.offset_bytes(signals[row])
            rows = out[row : row + count]
            # One long record: its parts are read, not the whole of it for every chunk
            if (last - first) * per_record > 2 * (stop - start) + 4096:
                self._spans(rows, at_byte, per_record, start, stop)
                continue
            sample = first * per_record
            for data in self.columns(first, last, at_byte, count * per_record * header.sample_bytes):
                values = _integers(data, header.sample_bytes).reshape(len(data), count, per_record)
                a, b = max(start, sample), min(stop, sample + len(data) * per_record)
                joined = values.transpose(1, 0, 2).reshape(count, -1)
                rows[:, a - start : b - start] = joined[:, a - sample : b - sample]
                sample += len(data) * per_record
        return out

    def _spans(self, rows: np.ndarray, at_byte: int, per_record: int, start: int, stop: int) -> None:
        header = self.header
        for record in range(start // per_record, -(-stop // per_record)):
            a, b = max(start, record * per_record), min(stop, (record + 1) * per_record)
            for row in range(len(rows)):
                inside = row * per_record + a - record * per_record
                data = self._bytes(
                    record * header.record_bytes + at_byte + inside * header.sample_bytes,
                    (b - a) * header.sample_bytes,
                )
                rows[row, a - start : b - start] = _integers(data[None], header.sample_bytes)[0]

    def _bytes(self, at: int, count: int) -> np.ndarray:
        data = os.pread(self._file.fileno(), count, self.header.header_bytes + at)
        if len(data) < count:
            raise SourceError("read", f"{self.header.path.name} became shorter while it was read; try again")
        return np.frombuffer(data, np.uint8)


def _runs(signals: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (row, count) of the signals that follow each other in the file, too."""
    begin = 0
    for row in range(1, len(signals) + 1):
        if row == len(signals) or signals[row] != signals[row - 1] + 1:
            yield begin, row - begin
            begin = row


def _integers(data: np.ndarray, sample_bytes: int) -> np.ndarray:
    """Little-endian samples of 16 or 24 bits: (records, bytes) uint8 → (records, samples)."""
    if sample_bytes == 2:
        return np.ascontiguousarray(data).view("<i2")
    wide = np.zeros((len(data), data.shape[1] // 3, 4), np.uint8)
    wide[:, :, 1:] = data.reshape(len(data), -1, 3)
    return wide.view("<i4")[:, :, 0] >> 8
