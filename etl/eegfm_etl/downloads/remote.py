"""What is known of a file before it is fetched."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from eegfm_lake.errors import EegfmError


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch.

    Attributes
    ----------
    rel : str
        Its path below the target folder, with forward slashes.
    url : str
    bytes : int or None
        Its size, where it is known.
    sha256, md5 : str or None
        Its checksum, where one is published.
    """

    rel: str
    url: str
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None

    def __post_init__(self) -> None:
        path = PurePosixPath(self.rel)
        if not self.rel or path.is_absolute() or ".." in path.parts or "\\" in self.rel:
            raise EegfmError(
                f"{self.rel!r} of {self.url} leads out of the target folder; the list is not to be trusted"
            )
