"""The process that reads sources and may die: ``python -m eegfm_etl.reader_child``.

Requests and replies are pickles, each preceded by its length in 8 bytes, over standard input and output.
"""

import os
import pickle
import resource
import struct
import sys
import traceback
from typing import IO, Any

from eegfm_etl.source import OpenSource, SourceError


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer requests until the parent closes the pipe."""
    from eegfm_etl.formats import open_source  # half a second: paid once a worker

    source: OpenSource | None = None
    answer: object = None
    while (request := receive(requests)) is not None:
        try:
            match request:
                case ("open", path, ask):
                    source = None
                    source = open_source(path, ask)
                    answer = source.header
                case ("read", start, stop, rows) if source is not None:
                    answer = source.read(start, stop, rows)
                case _:
                    raise SourceError("read", f"the reader was asked {request[0]!r} before a file was open")
            reply = _packed(("ok", answer, _resident_bytes()))
        except SourceError as error:
            reply = _packed(("error", (error.step, error.reason, error.detail), _resident_bytes()))
        except MemoryError:
            source = answer = None
            reply = _packed(("memory", traceback.format_exc(), _resident_bytes()))
        except Exception:  # noqa: BLE001 - the parent turns it into a failure row
            reply = _packed(("unexpected", traceback.format_exc(), _resident_bytes()))
        _write(replies, reply)


def send(pipe: IO[bytes], message: object) -> None:
    """Write one message."""
    _write(pipe, _packed(message))


def receive(pipe: IO[bytes]) -> tuple[Any, ...] | None:
    """Read one message; None at the end of the pipe."""
    length = pipe.read(8)
    if len(length) < 8:
        return None
    return pickle.loads(pipe.read(struct.unpack("<Q", length)[0]))


def _packed(message: object) -> bytes:
    return pickle.dumps(message, protocol=5)


def _write(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(struct.pack("<Q", len(data)))
    pipe.write(data)
    pipe.flush()


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main() -> None:
    """Serve on the standard streams; anything that a library prints goes to standard error."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
