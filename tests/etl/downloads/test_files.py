"""Downloads from a server on this machine that truncates, stalls, redirects, lies and answers with pages."""

import hashlib
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from eegfm_etl.downloads import files as download
from eegfm_etl.downloads.files import fetch
from eegfm_etl.downloads.manifests import bucket, physionet
from eegfm_etl.downloads.remote import RemoteFile
from eegfm_lake.errors import EegfmError, UsageError

CONTENT = random.Random(0).randbytes(300_000)
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"

Answer = Callable[["Handler", int], None]
"""How a path answers; it is given the number of the request, from 1."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        served = self.server.served
        path = self.path.partition("?")[0]
        served.requests[path] += 1
        served.ranges.append((path, self.headers.get("Range")))
        self.close_connection = True
        answer = served.answers.get(path)
        if answer is None:
            self.answer(404, b"not here")
        else:
            answer(self, served.requests[path])

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_content(
        self, content: bytes = CONTENT, break_after: int | None = None, etag: str = '"1"'
    ) -> None:
        """Serve as a good server does, ranges too; or break off after so many bytes."""
        first = self.first_byte() if self.headers.get("If-Range", etag) == etag else 0
        headers = {"ETag": etag}
        if first >= len(content) > 0 and first:
            self.answer(416, b"", Content_Range=f"bytes */{len(content)}")
            return
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        body = content[first:]
        self.answer(206 if first else 200, body[:break_after], length=len(body), **headers)

    def first_byte(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@dataclass
class Served:
    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def file(self, path: str, **known) -> RemoteFile:
        return RemoteFile(path.strip("/"), self.url + path, **known)


@pytest.fixture
def served() -> Iterator[Served]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.served = Served(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.served
    server.served.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_S", 0.001)


def sha256(content: bytes = CONTENT) -> str:
    return hashlib.sha256(content).hexdigest()


def assert_whole(target: Path, *names: str, content: bytes = CONTENT) -> None:
    """The files are there with their bytes, and nothing else is."""
    assert sorted(path.name for path in target.rglob("*") if path.is_file()) == sorted(names)
    for name in names:
        assert (target / name).read_bytes() == content


def test_files_arrive_whole_and_are_not_fetched_again(served: Served, tmp_path: Path):
    for name in "abcd":
        served.answers[f"/{name}"] = lambda handler, n: handler.send_content()
    known = [
        {},
        {"bytes": len(CONTENT)},
        {"sha256": sha256().upper()},
        {"md5": hashlib.md5(CONTENT).hexdigest()},
    ]
    files = [served.file(f"/{name}", **one) for name, one in zip("abcd", known, strict=True)]
    assert fetch(files, tmp_path) == tmp_path
    assert_whole(tmp_path, *"abcd")
    fetch(files, tmp_path)
    assert set(served.requests.values()) == {1}


def test_a_connection_that_breaks_off_is_resumed_where_it_broke(served: Served, tmp_path: Path):
    served.answers["/a"] = lambda handler, n: handler.send_content(break_after=70_000 if n < 5 else None)
    fetch([served.file("/a", sha256=sha256())], tmp_path)
    assert_whole(tmp_path, "a")
    assert [first for _, first in served.ranges] == [None, *(f"bytes={n * 70_000}-" for n in range(1, 5))]


def test_a_download_that_was_given_up_goes_on_with_the_next_command(served: Served, tmp_path: Path):
    served.answers["/a"] = lambda handler, n: (
        handler.send_content(break_after=100_000) if n == 1 else handler.answer(503, b"")
    )
    with pytest.raises(EegfmError, match=r"/a answers 503 .*, 5 times in a row; the same command goes on"):
        fetch([served.file("/a")], tmp_path)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.part").stat().st_size == 100_000
    served.answers["/a"] = lambda handler, n: handler.send_content()
    fetch([served.file("/a")], tmp_path)
    assert_whole(tmp_path, "a")
    assert served.ranges[-1] == ("/a", "bytes=100000-")


def test_halves_of_two_versions_are_never_joined(served: Served, tmp_path: Path):
    other = CONTENT[::-1]
    for path, known in [("/tagged", {}), ("/summed", {"sha256": sha256(other)})]:
        served.answers[path] = lambda handler, n: (
            handler.send_content(break_after=100_000) if n == 1 else handler.send_content(other, etag='"2"')
        )
        fetch([served.file(path, **known)], tmp_path)
    assert_whole(tmp_path, "tagged", "summed", content=other)


def test_a_server_without_ranges_begins_anew(served: Served, tmp_path: Path):
    def answer(handler: Handler, n: int) -> None:
        handler.answer(200, CONTENT[: 100_000 if n == 1 else None], length=len(CONTENT))

    served.answers["/a"] = answer
    fetch([served.file("/a")], tmp_path)
    assert_whole(tmp_path, "a")


def test_a_server_that_stalls_or_drips_is_left_and_asked_again(served: Served, tmp_path: Path):
    def stall(handler: Handler, n: int) -> None:
        handler.send_content(break_after=100_000 if n == 1 else None)
        if n == 1:
            handler.wfile.flush()
            served.ended.wait(30)

    def drip(handler: Handler, n: int) -> None:
        handler.send_content(break_after=50_000 if n == 1 else None)
        rest = iter(CONTENT[50_000:])
        with suppress(OSError):  # the client has gone
            while n == 1 and not served.ended.wait(0.05):
                handler.wfile.write(bytes([next(rest)]))

    served.answers |= {"/stalls": stall, "/drips": drip}
    began = time.monotonic()
    fetch([served.file("/stalls"), served.file("/drips", sha256=sha256())], tmp_path, stall_s=0.3)
    assert time.monotonic() - began < 20
    assert_whole(tmp_path, "stalls", "drips")


def test_redirects_are_followed_but_not_for_ever(served: Served, tmp_path: Path):
    served.answers["/old"] = lambda handler, n: handler.answer(302, b"", Location="/new")
    served.answers["/new"] = lambda handler, n: handler.send_content(break_after=90_000 if n == 1 else None)
    served.answers["/loop"] = lambda handler, n: handler.answer(302, b"", Location="/loop")
    fetch([served.file("/old")], tmp_path)
    assert_whole(tmp_path, "old")
    with pytest.raises(EegfmError, match=r"/loop cannot be fetched \(Exceeded 30 redirects"):
        fetch([served.file("/loop")], tmp_path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAGE, r"it is a web page \(HTML\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s5--00.edf\n", "datalad get"),
    ],
)
def test_what_stands_in_place_of_data_is_refused_with_what_to_do(
    served: Served, tmp_path: Path, body: bytes, words: str
):
    served.answers["/a.edf"] = lambda handler, n: handler.answer(200, body)
    with pytest.raises(EegfmError, match=words):
        fetch([served.file("/a.edf")], tmp_path)
    assert not (tmp_path / "a.edf").exists()
    (tmp_path / "a.edf").write_bytes(body)  # as an older download left it
    served.answers["/a.edf"] = lambda handler, n: handler.send_content()
    fetch([served.file("/a.edf")], tmp_path)
    assert_whole(tmp_path, "a.edf")


def test_lengths_and_checksums_that_differ_are_refused_and_nothing_is_left_there(
    served: Served, tmp_path: Path
):
    served.answers["/short"] = lambda handler, n: handler.answer(
        200, CONTENT[:1000]
    )  # a length that fits the lie
    served.answers["/damaged"] = lambda handler, n: handler.send_content(CONTENT[:-1] + b"?")
    for path, known, words in [
        ("/short", {"bytes": len(CONTENT)}, r"/short ended after 1,000 of 300,000 bytes, 5 times in a row"),
        (
            "/short",
            {"sha256": sha256()},
            r"/short: its sha256 is .* was announced: it is damaged or another version",
        ),
        ("/damaged", {"sha256": sha256()}, r"/damaged: its sha256 is .* was announced"),
        ("/damaged", {"bytes": 5}, r"/damaged: 300,000 bytes came, 5 were announced"),
    ]:
        with pytest.raises(EegfmError, match=words):
            fetch([served.file(path, **known)], tmp_path)
    assert not (tmp_path / "short").exists()
    assert not (tmp_path / "damaged").exists()


def test_access_that_is_missing_and_files_that_are_missing_are_told_and_the_others_come(
    served: Served, tmp_path: Path
):
    served.answers["/private"] = lambda handler, n: handler.answer(403, PAGE)
    served.answers["/open"] = lambda handler, n: handler.send_content()
    with pytest.raises(
        EegfmError, match=r"2 files of 3 could not be fetched; first: .*/private is refused to us: .*--source"
    ):
        fetch([served.file("/private"), served.file("/gone"), served.file("/open")], tmp_path)
    assert (tmp_path / "open").read_bytes() == CONTENT
    assert served.requests["/private"] == served.requests["/gone"] == 1


def test_two_commands_at_once_fetch_a_file_once(served: Served, tmp_path: Path):
    served.answers["/a"] = lambda handler, n: handler.send_content()
    file = served.file("/a", sha256=sha256())
    threads = [threading.Thread(target=fetch, args=([file], tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_whole(tmp_path, "a")
    assert served.requests["/a"] == 1


def test_a_list_that_leads_out_of_the_folder_is_refused():
    for rel in ("../x", "/etc/x", "a/../../x", "a\\b", ""):
        with pytest.raises(EegfmError, match="leads out of the target folder"):
            RemoteFile(rel, "http://127.0.0.1/x")


def test_a_set_of_physionet_is_fetched_by_its_own_list_and_checked(served: Served, tmp_path: Path):
    contents = {f"files/S00{n}/S00{n} R0{n}.edf": CONTENT[n:] for n in (1, 2, 3)}
    sums = "".join(f"{sha256(content)} {rel}\n" for rel, content in contents.items())
    served.answers["/1.0.0/SHA256SUMS.txt"] = lambda handler, n: handler.answer(200, sums.encode())
    for rel, content in contents.items():
        served.answers["/1.0.0/" + rel.replace(" ", "%20")] = lambda handler, n, content=content: (
            handler.send_content(content, break_after=5000 if n == 1 else None)
        )
    root = f"{served.url}/1.0.0"
    physionet(root, tmp_path, ["files/S00[12]/*"])
    assert sorted(path.name for path in tmp_path.rglob("*.edf")) == ["S001 R01.edf", "S002 R02.edf"]
    physionet(root, tmp_path)
    for rel, content in contents.items():
        assert (tmp_path / rel).read_bytes() == content
    with pytest.raises(UsageError, match=r"no file of .* matches --only S9\*; the first is files/S001"):
        physionet(root, tmp_path, ["S9*"])
    with pytest.raises(EegfmError, match="does not exist"):
        physionet(f"{served.url}/2.0.0", tmp_path / "other")


def test_a_public_bucket_is_fetched_by_its_listing_page_by_page(served: Served, tmp_path: Path):
    contents = {"ds01/README": b"words", "ds01/sub-01/eeg/sub-01 a.edf": CONTENT, "ds01/empty.txt": b""}
    entries = [
        f"<Contents><Key>{key}</Key><ETag>&quot;{hashlib.md5(content).hexdigest()}&quot;</ETag>"
        f"<Size>{len(content)}</Size></Contents>"
        for key, content in contents.items()
    ]
    entries.append("<Contents><Key>ds01/sub-01/</Key><Size>0</Size></Contents>")

    def listing(handler: Handler, n: int) -> None:
        asked = parse_qs(handler.path.partition("?")[2])
        assert asked["prefix"] == ["ds01/"]
        second = asked.get("continuation-token") == ["page two"]
        shown = (
            entries[2:]
            if second
            else [*entries[:2], "<NextContinuationToken>page two</NextContinuationToken>"]
        )
        name = "http://s3.amazonaws.com/doc/2006-03-01/"
        handler.answer(200, f'<ListBucketResult xmlns="{name}">{"".join(shown)}</ListBucketResult>'.encode())

    served.answers["/open/"] = listing
    for key, content in contents.items():
        served.answers["/open/" + key.replace(" ", "%20")] = lambda handler, n, content=content: (
            handler.send_content(content, break_after=5000 if n == 1 else None)
        )
    bucket(f"{served.url}/open", "ds01/", tmp_path)
    for key, content in contents.items():
        assert (tmp_path / key.removeprefix("ds01/")).read_bytes() == content
    bucket(f"{served.url}/open", "ds01/", tmp_path, ["sub-01/*"])
    assert (
        served.requests["/open/ds01/sub-01/eeg/sub-01%20a.edf"] == 2
    )  # once more where it broke off; then it is there
    with pytest.raises(EegfmError, match="does not list what lies below ds01/"):
        bucket(f"{served.url}/closed", "ds01/", tmp_path)
