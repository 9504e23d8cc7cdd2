"""Streams of samples in bounded memory: frames come in any length, spans are taken in order."""

from collections.abc import Iterable, Iterator

import numpy as np

Frames = Iterable[np.ndarray]
"""Consecutive pieces of a signal, each (C, n) with n of any length."""


class Tape:
    """A stream of which only the part that is still needed is held.

    Parameters
    ----------
    frames : iterable of np.ndarray, shape (C, n)
        Consecutive pieces.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = iter(frames)
        self._held: list[np.ndarray] = []
        self._first = self._end = 0

    def take(self, start: int, stop: int, *, length: int | None = None) -> np.ndarray:
        """Give samples start to stop, fewer at the stream's end, and forget what lies before start.

        Parameters
        ----------
        start, stop : int
            Samples from the stream's beginning; start never goes back.
        length : int, optional
            Give a copy of this length, filled up with zeros.

        Returns
        -------
        np.ndarray, shape (C, at most stop - start), or (C, length)
        """
        while self._end < stop and (frame := next(self._frames, None)) is not None:
            self._held.append(frame)
            self._end += frame.shape[1]
        if start < self._first:
            raise IndexError(f"sample {start} was given away; the tape begins at {self._first}")
        while len(self._held) > 1 and self._first + self._held[0].shape[1] <= start:
            self._first += self._held.pop(0).shape[1]
        parts, at = [], self._first
        for frame in self._held:
            if at < stop and at + frame.shape[1] > start:
                parts.append(frame[:, max(start - at, 0) : stop - at])
            at += frame.shape[1]
        if not parts:
            parts = [self._held[0][:, :0] if self._held else np.empty((0, 0), np.float32)]
        if length is not None:
            missing = length - sum(part.shape[1] for part in parts)
            parts.append(np.zeros((len(parts[0]), missing), parts[0].dtype))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def extended(frames: Frames, pad: int, total: int) -> Iterator[np.ndarray]:
    """Put a signal's odd reflection before its first and after its last sample, zeros where it is too short.

    This is MNE's ``reflect_limited``: the extension goes on where the signal stops, without a step.

    Parameters
    ----------
    frames : iterable of np.ndarray, shape (C, n)
    pad : int
        Samples to put on either side.
    total : int
        Length of the stream.

    Yields
    ------
    np.ndarray, shape (C, n)
        ``total + 2 * pad`` samples in all.
    """
    tape = Tape(frames)
    reach = min(pad, total - 1)
    head = tape.take(0, reach + 1)
    zeros = np.zeros((head.shape[0], pad - reach), head.dtype)
    yield np.concatenate([zeros, 2 * head[:, :1] - head[:, :0:-1]], axis=1)
    last = max(total - reach - 1, 0)
    step = max(head.shape[1], 4096)
    for start in range(0, last, step):
        yield tape.take(start, min(start + step, last))
    tail = tape.take(last, total)
    yield tail
    yield np.concatenate([2 * tail[:, -1:] - tail[:, -2::-1][:, :reach], zeros], axis=1)


def fitted(frames: Frames, total: int) -> Iterator[np.ndarray]:
    """Cut a stream to a length, or hold its last sample until there: a slow channel ends between two samples.

    Parameters
    ----------
    frames : iterable of np.ndarray, shape (C, n)
    total : int

    Yields
    ------
    np.ndarray, shape (C, n)
        ``total`` samples in all.
    """
    missing, last = total, None
    for frame in frames:
        piece = frame[:, :missing]
        if piece.shape[1]:
            missing, last = missing - piece.shape[1], piece[:, -1:]
            yield piece
    if missing and last is not None:
        yield np.repeat(last, missing, axis=1)
