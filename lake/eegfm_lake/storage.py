"""Where bytes live: a folder or an object store behind one interface."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from eegfm_lake.errors import EegfmError, UsageError

TEMPORARY_SUFFIX = ".tmp"
"""A file that is still being written ends so; it is renamed when it is whole."""

_REFUSED = "%[]*?^|\\"  # the table's engine panics on these in a path
_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Entry:
    """One stored file: name below the root, size, time of last change in seconds since the epoch."""

    rel: str
    bytes: int
    modified: float


@dataclass(frozen=True, init=False)
class Storage:
    r"""A root below which files are named by relative paths with forward slashes.

    Parameters
    ----------
    uri
        A folder, or ``s3://bucket/prefix``. Object stores take keys, region and endpoint from the usual
        ``AWS_*`` variables.

    Raises
    ------
    UsageError
        The path holds one of ``% [ ] * ? ^ | \``, or its scheme is unknown.
    """

    uri: str

    def __init__(self, uri: str | Path) -> None:
        text = str(uri)
        if found := [character for character in _REFUSED if character in text]:
            raise UsageError(
                f"{text}: a lake's path must not contain {' '.join(found)}; choose another folder"
            )
        scheme, separator, rest = text.partition("://")
        if separator and scheme == "file":
            text, separator = rest, ""
        if separator and scheme != "s3":
            raise UsageError(f"{text}: unknown storage {scheme}://; give a folder or s3://bucket/prefix")
        if separator and not rest.strip("/"):
            raise UsageError(f"{text}: names no bucket; give s3://bucket or s3://bucket/prefix")
        whole = text.rstrip("/") if separator else os.path.abspath(os.path.expanduser(text))
        object.__setattr__(self, "uri", whole)

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return "://" not in self.uri

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The file system, one a process: clients of object stores do not survive a fork."""
        return _local_filesystem() if self.is_local else _s3_filesystem(os.getpid())

    def full(self, rel: str = "") -> str:
        """Path of a stored file as `filesystem` takes it (object stores: without the scheme)."""
        root = self.uri if self.is_local else self.uri.removeprefix("s3://")
        return f"{root}/{rel}" if rel else root

    def below(self, rel: str) -> "Storage":
        """Return the storage whose root is a folder of this one; ``..`` goes up."""
        if self.is_local:
            return Storage(os.path.normpath(os.path.join(os.path.realpath(self.uri), rel)))
        return Storage("s3://" + os.path.normpath(os.path.join(self.full(), rel)))

    def open(self, rel: str) -> pa.NativeFile:
        """Open a stored file for random reads.

        Raises
        ------
        EegfmError
            There is no such file.
        """
        try:
            return self.filesystem.open_input_file(self.full(rel))
        except FileNotFoundError as error:
            raise EegfmError(f"{self.full(rel)}: no such file") from error

    def read_bytes(self, rel: str) -> bytes:
        """Return the whole content of a stored file; a missing one raises `EegfmError`."""
        with self.open(rel) as file:
            return bytes(file.read())

    def exists(self, rel: str) -> bool:
        """Whether a file or folder of that name is stored."""
        return bool(self.filesystem.get_file_info(self.full(rel)).type != pafs.FileType.NotFound)

    def list(self, prefix: str = "") -> list[Entry]:
        """Every file below a folder, in order of names; a missing folder holds none."""
        selector = pafs.FileSelector(self.full(prefix), recursive=True, allow_not_found=True)
        root = len(self.full()) + 1
        files = (info for info in self.filesystem.get_file_info(selector) if info.type == pafs.FileType.File)
        entries = [Entry(info.path[root:], info.size, (info.mtime_ns or 0) / 1e9) for info in files]
        return sorted(entries, key=lambda entry: entry.rel)

    def put_file(self, local: str | Path, rel: str, *, move: bool = False) -> None:
        """Store a local file under a name, whole or not at all.

        Parameters
        ----------
        local
            The file to store.
        rel
            Its name below the root; an existing file of that name is replaced.
        move
            Whether the local file may be consumed; a rename is free where a copy is not.

        Raises
        ------
        EegfmError
            The storage is full, read-only or gone.
        """
        with explain_write_errors(self.full(rel)):
            if self.is_local:
                _put_local(Path(local), Path(self.full(rel)), move)
                return
            with open(local, "rb") as source:
                self._upload(rel, iter(lambda: source.read(_CHUNK_BYTES), b""))
            if move:
                os.unlink(local)

    def put_bytes(self, data: bytes, rel: str) -> None:
        """Store bytes under a name, whole or not at all; errors as `put_file`."""
        with explain_write_errors(self.full(rel)):
            if not self.is_local:
                self._upload(rel, iter([data]))
                return
            target = Path(self.full(rel))
            target.parent.mkdir(parents=True, exist_ok=True)
            with _temporary_beside(target) as temporary:
                temporary.write_bytes(data)
                _sync_and_rename(temporary, target)

    def _upload(self, rel: str, chunks: Iterator[bytes]) -> None:
        stream = self.filesystem.open_output_stream(self.full(rel))
        try:
            for chunk in chunks:
                stream.write(chunk)
            stream.close()
        except BaseException:
            stream.close()  # closing completes what was sent, so it is taken away again
            self.delete(rel)
            raise

    def delete(self, rel: str) -> None:
        """Remove a stored file; a missing one is no error."""
        try:
            self.filesystem.delete_file(self.full(rel))
        except FileNotFoundError:
            return

    def delta_options(self) -> dict[str, str]:
        """Options with which deltalake reaches the same place."""
        if self.is_local:
            return {}
        options = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        options.setdefault("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
        if options.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
        return options


@lru_cache(maxsize=1)
def _local_filesystem() -> pafs.FileSystem:
    return pafs.LocalFileSystem()


@lru_cache(maxsize=2)
def _s3_filesystem(process: int) -> pafs.FileSystem:
    scheme, _, endpoint = os.environ.get("AWS_ENDPOINT_URL", "").partition("://")
    region = os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    return pafs.S3FileSystem(region=region, scheme=scheme or "https", endpoint_override=endpoint or None)


def _put_local(local: Path, target: Path, move: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if move:
        try:
            _sync_and_rename(local, target)
        except OSError as error:
            if error.errno != errno.EXDEV:  # another file system: copied below
                raise
        else:
            return
    with _temporary_beside(target) as temporary:
        shutil.copyfile(local, temporary)
        _sync_and_rename(temporary, target)
    if move:
        local.unlink()


@contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_and_rename(temporary: Path, target: Path) -> None:
    _sync(temporary)
    os.replace(temporary, target)
    _sync(target.parent)  # the name must survive a power cut as the content does


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explain_write_errors(path: str) -> Iterator[None]:
    """Turn what the operating system says about a write into one line that names the file and what to do."""
    try:
        yield
    except OSError as error:
        reason = "no space left on the device; free some and run the command again"
        if error.errno != errno.ENOSPC:
            reason = f"could not be written ({error.strerror or error})"
        raise EegfmError(f"{path}: {reason}") from error
