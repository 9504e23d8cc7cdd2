"""Whole data sets by the lists that their servers publish: PhysioNet's checksums, an object store's listing."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import requests

from eegfm_etl.downloads.files import fetch
from eegfm_etl.downloads.remote import RemoteFile
from eegfm_etl.recipe import wanted
from eegfm_lake.errors import EegfmError, UsageError

_SHA256 = re.compile(r"(?P<digest>[0-9a-fA-F]{64})\s+[*]?(?:[.]/)?(?P<rel>.+?)\s*")
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')  # the tag of an object that was uploaded in one piece
_TIMEOUT_S = 60


def physionet(root_url: str, target: Path, only: Sequence[str] = ()) -> Path:
    """Fetch a data set of PhysioNet, or of any server that publishes ``SHA256SUMS.txt`` beside its files.

    Parameters
    ----------
    root_url
        Folder of one version of the data set: ``https://physionet.org/files/eegmat/1.0.0/``.
    target
        Folder that receives the files in the server's layout.
    only
        Globs over the paths below it (`eegfm_etl.recipe.wanted`); all files where omitted.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    UsageError
        Where no file matches.
    EegfmError
        Where a file, or the list of them, cannot be fetched.
    """
    root = root_url.rstrip("/") + "/"
    sums = RemoteFile("SHA256SUMS.txt", f"{root}SHA256SUMS.txt")
    fetch([sums], target)
    lines = (target / sums.rel).read_text(encoding="utf-8", errors="replace").splitlines()
    found = [match for line in lines if (match := _SHA256.fullmatch(line))]
    if not found:
        (target / sums.rel).unlink()  # else the next attempt would find it there
        raise EegfmError(f"{sums.url} lists no file; is {root} the folder of a data set's version?")
    files = [RemoteFile(one["rel"], root + quote(one["rel"]), sha256=one["digest"]) for one in found]
    return fetch(_chosen(files, only, root), target)


def bucket(bucket_url: str, prefix: str, target: Path, only: Sequence[str] = ()) -> Path:
    """Fetch what lies below a prefix of a public bucket that answers as Amazon S3 does.

    OpenNeuro: ``bucket("https://s3.amazonaws.com/openneuro.org", "ds004504/", target)``.

    Parameters
    ----------
    bucket_url
        Of the bucket.
    prefix
        Ends with a slash; the files are named by what follows it.
    target, only
        As `physionet`.

    Notes
    -----
    It returns and raises what `physionet` does. Sizes are always checked, MD5 where the store's tag is one (objects
    uploaded in one piece).
    """
    root = bucket_url.rstrip("/")
    files = list(_objects(root, prefix))
    if not files:
        raise EegfmError(f"{root} has nothing below {prefix}; is the name right?")
    return fetch(_chosen(files, only, f"{root}/{prefix}"), target)


def _objects(root: str, prefix: str) -> Iterator[RemoteFile]:
    """Ask for the listing page by page (ListObjectsV2)."""
    more: str | None = ""
    while more is not None:
        asked = {"list-type": "2", "prefix": prefix, **({"continuation-token": more} if more else {})}
        try:
            answer = requests.get(root + "/", params=asked, timeout=_TIMEOUT_S)
            answer.raise_for_status()
            page = ElementTree.fromstring(answer.content)
        except (requests.RequestException, ElementTree.ParseError) as error:
            raise EegfmError(
                f"{root} does not list what lies below {prefix} ({str(error).splitlines()[0]}); "
                "the same command tries again"
            ) from error
        for entry in page.iterfind("{*}Contents"):
            key = entry.findtext("{*}Key", "")
            tag = _MD5.fullmatch(entry.findtext("{*}ETag", ""))
            size = int(entry.findtext("{*}Size", "0"))
            if key.endswith("/"):  # stands for a folder
                continue
            url = f"{root}/{quote(key)}"
            yield RemoteFile(key.removeprefix(prefix), url, bytes=size, md5=tag[1] if tag else None)
        more = page.findtext("{*}NextContinuationToken")


def _chosen(files: Sequence[RemoteFile], only: Sequence[str], root: str) -> list[RemoteFile]:
    chosen = [file for file in files if wanted(file.rel, only)]
    if not chosen:
        raise UsageError(f"no file of {root} matches --only {' '.join(only)}; the first is {files[0].rel}")
    return chosen
