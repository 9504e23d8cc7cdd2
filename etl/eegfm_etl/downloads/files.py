"""Fetch a data set's files over HTTP: resumed, checked, whole or not there at all.

A recipe lists its files (`RemoteFile`, or a server's own list: `eegfm_etl.downloads.manifests`) and calls `fetch`. What
arrives grows in ``NAME.part`` and takes its name when its size and checksum are right. MNE and MOABB fetch what they
know with pooch, which checks too, but begins a file that broke off anew.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import requests
import urllib3
from rich.console import Console

from eegfm_etl.downloads.progress import DownloadProgress
from eegfm_etl.downloads.remote import RemoteFile
from eegfm_etl.progress import counted
from eegfm_etl.sniff import no_recording
from eegfm_lake.errors import EegfmError
from eegfm_lake.storage import explain_write_errors

ATTEMPTS = 5
"""Times in a row that a file may break off without a byte gained."""

_CONNECT_S = 20.0
_STALL_S = 60.0
_FIRST_PAUSE_S = 0.5
_CHUNK_BYTES = 2**18
_NO_ACCESS = (
    "{}: the data set needs an agreement or an account; fetch it with a browser and name its folder: --source"
)
_PAGES = (".html", ".htm")
_TRANSIENT = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)


class _BrokenOffError(Exception):
    """It ended early, in words; what has come may be kept and the rest asked for."""


def fetch(
    files: Sequence[RemoteFile],
    target: Path,
    *,
    parallel: int = 2,
    stall_s: float = _STALL_S,
    console: Console | None = None,
) -> Path:
    """Fetch files into a folder; what is there and right already is not fetched again.

    Parameters
    ----------
    files
        What to fetch.
    target
        Folder that receives them; made where there is none.
    parallel
        Files at once.
    stall_s
        Seconds without a byte after which the connection is given up and the rest asked for again.
    console
        Where progress is shown; None is standard error.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    EegfmError
        Where files could not be fetched: the first reason, and how many. The others are there.
    """
    failures: list[EegfmError] = []
    with (
        requests.Session() as session,
        DownloadProgress(console or Console(stderr=True), files) as progress,
        ThreadPoolExecutor(max(parallel, 1)) as pool,
    ):
        running = [pool.submit(_fetch_one, session, file, target, stall_s, progress) for file in files]
        try:
            for one in running:
                if isinstance(error := one.exception(), EegfmError):
                    failures.append(error)
                elif error is not None:
                    raise error
        except BaseException:  # Ctrl-C too: what runs is stopped, what waits is not begun
            progress.stop = True
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if failures:
        many = f"{counted(len(failures), 'file')} of {len(files):,} could not be fetched; first: "
        raise EegfmError(
            f"{many if len(files) > 1 else ''}{failures[0]}; the same command goes on where it stopped"
        )
    return target


def _fetch_one(
    session: requests.Session, file: RemoteFile, target: Path, stall_s: float, progress: DownloadProgress
) -> None:
    path = target / file.rel
    with explain_write_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _locked(part) as growing:
        if _is_there(path, file):
            part.unlink(missing_ok=True)
            progress.found(file)
            return
        try:
            _complete(session, file, growing, stall_s, progress)
        except _WrongContentError as error:
            if not error.joined:
                raise
            _complete(session, file, growing, stall_s, progress)
        with explain_write_errors(str(path)):
            os.fsync(growing.fileno())
            os.replace(part, path)
        part.with_name(part.name + ".tag").unlink(missing_ok=True)
    progress.whole(file)


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """Open a file that grows; a second command that fetches it waits until the first has ended."""
    with explain_write_errors(str(part)), open(part, "a+b") as growing:
        fcntl.flock(growing, fcntl.LOCK_EX)
        yield growing


def _is_there(path: Path, file: RemoteFile) -> bool:
    if not path.is_file() or (path.stat().st_size == 0 and file.bytes != 0):
        return False
    return _what_is_wrong(path, file) is None


class _WrongContentError(EegfmError):
    """What came is not what was to come; joined of several answers it may be of two versions: worth another try."""

    def __init__(self, words: str, joined: bool = False) -> None:
        super().__init__(words)
        self.joined = joined


def _complete(
    session: requests.Session,
    file: RemoteFile,
    growing: IO[bytes],
    stall_s: float,
    progress: DownloadProgress,
) -> None:
    """Ask for the rest until everything is there, then compare."""
    pause_s, left, joined = _FIRST_PAUSE_S, ATTEMPTS, False
    while True:
        before = os.fstat(growing.fileno()).st_size
        joined |= before > 0
        try:
            _ask_for_the_rest(session, file, growing, stall_s, progress)
            break
        except (_BrokenOffError, *_TRANSIENT) as error:
            if os.fstat(growing.fileno()).st_size > before:
                pause_s, left = _FIRST_PAUSE_S, ATTEMPTS
            else:
                left -= 1
            if left <= 0 or progress.stop:
                raise EegfmError(f"{file.url} {_in_words(error)}, {ATTEMPTS} times in a row") from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 30.0)
        except requests.RequestException as error:  # a loop of redirects, an address that is none
            raise EegfmError(f"{file.url} cannot be fetched ({_first_line(error)})") from error
    path = Path(growing.name)
    if wrong := _what_is_wrong(path, file):
        growing.truncate(0)
        raise _WrongContentError(f"{file.url}: {wrong}", joined)


def _ask_for_the_rest(
    session: requests.Session,
    file: RemoteFile,
    growing: IO[bytes],
    stall_s: float,
    progress: DownloadProgress,
) -> None:
    have = growing.seek(0, os.SEEK_END)
    tag = Path(f"{growing.name}.tag")
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
    if have:
        headers["Range"] = f"bytes={have}-"
        if not (file.sha256 or file.md5):  # no checksum will tell whether the two halves belong together
            headers["If-Range"] = tag.read_text() if tag.exists() else '"nothing"'
    with session.get(file.url, headers=headers, stream=True, timeout=(_CONNECT_S, stall_s)) as response:
        _refuse(response, file, have)
        if response.status_code == 416 and have:
            _end_or_begin_anew(response, growing, have)
            return
        resumed = response.status_code == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _BrokenOffError("answers with another part than it was asked for")
        if not resumed:
            growing.truncate(0)
            have = growing.seek(0)
        if validator := response.headers.get("ETag") or response.headers.get("Last-Modified"):
            tag.write_text(validator)
        progress.at(file, have)
        _receive(response, file, growing, stall_s, progress)


def _receive(
    response: requests.Response,
    file: RemoteFile,
    growing: IO[bytes],
    stall_s: float,
    progress: DownloadProgress,
) -> None:
    """Write what comes; a server that drips less than a kilobyte a second has stalled too."""
    window, came = time.monotonic(), 0
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
        if growing.tell() == 0 and (words := _refused_content(chunk, file)):
            raise _WrongContentError(f"{file.url}: {words}")
        with explain_write_errors(str(growing.name)):
            growing.write(chunk)
            growing.flush()
        came += len(chunk)
        progress.advance(file, len(chunk))
        if progress.stop:
            raise _BrokenOffError("was stopped")
        if (waited := time.monotonic() - window) > stall_s:
            if came < 1000 * waited:
                raise _BrokenOffError(f"sent {came} bytes in {waited:.0f} s")
            window, came = time.monotonic(), 0
    if file.bytes is not None and growing.tell() < file.bytes:
        raise _BrokenOffError(f"ended after {growing.tell():,} of {file.bytes:,} bytes")


def _refuse(response: requests.Response, file: RemoteFile, have: int) -> None:
    status = response.status_code
    if urlsplit(file.url).scheme == "https" and urlsplit(response.url).scheme != "https":
        raise EegfmError(f"{file.url} leads to {response.url}, which is not encrypted; not followed")
    if status in (200, 206) or (status == 416 and have):
        return
    if status == 429 or status >= 500:
        raise _BrokenOffError(f"answers {status} {response.reason}")
    what = {
        401: _NO_ACCESS.format("asks for a login"),
        403: _NO_ACCESS.format("is refused to us"),
        404: "does not exist: it was moved or its version withdrawn",
        410: "does not exist any more",
    }.get(status, f"answers {status} {response.reason}")
    raise EegfmError(f"{file.url} {what}")


def _end_or_begin_anew(response: requests.Response, growing: IO[bytes], have: int) -> None:
    """Nothing lies behind what we have: it is all there, or there is too much."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    if total != str(have):
        growing.truncate(0)
        raise _BrokenOffError(f"has {total or 'fewer'} bytes where {have} had come")


def _what_is_wrong(path: Path, file: RemoteFile) -> str | None:
    """Say in what a whole file differs from what was announced; None where in nothing."""
    size = path.stat().st_size
    with path.open("rb") as content:
        if words := _refused_content(content.read(1024), file):
            return words
        if file.bytes is not None and size != file.bytes:
            return f"{size:,} bytes came, {file.bytes:,} were announced"
        for name, expected in (("sha256", file.sha256), ("md5", file.md5)):
            if expected is None:
                continue
            content.seek(0)
            if (found := hashlib.file_digest(content, name).hexdigest()) != expected.lower():
                return f"its {name} is {found[:12]}…, {expected[:12]}… was announced: it is damaged or another version"
    return None


def _refused_content(head: bytes, file: RemoteFile) -> str | None:
    return None if file.rel.lower().endswith(_PAGES) else no_recording(head)


def _in_words(error: Exception) -> str:
    match error:
        case _BrokenOffError():
            return str(error)
        case requests.Timeout() | urllib3.exceptions.TimeoutError():
            return "does not answer"
        case urllib3.exceptions.IncompleteRead():
            return "breaks off"
        case _:
            return f"cannot be reached ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
