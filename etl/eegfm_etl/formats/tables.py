"""Text tables: OpenBCI's raw text and Muse's CSV by their own headers, any other with a declared layout.

What a table does not say (rate, unit, names) is never guessed: the file is refused with what to declare.
"""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from eegfm_etl.formats.recording import Recording, factor_uv, of_array, unique
from eegfm_etl.source import Ask, SourceError, SourceHeader, TableLayout

_HEAD_LINES = 60
_OPENBCI_BOARDS = {8: "OpenBCI Cyton", 4: "OpenBCI Ganglion", 16: "OpenBCI Cyton Daisy"}
_OPENBCI_COUNTER = 256
_MUSE = {"tp9", "af7", "af8", "tp10"}
_STAGES = re.compile(r"hypnogram|\bn1\b.*\bn2\b|sleep stage|wake.*rem", re.IGNORECASE | re.DOTALL)
_ELECTRODE = re.compile(r"^(eeg.*|ch(an(nel)?)?[ _]?\d+|[a-z]{1,3}(z|\d{1,2}))$", re.IGNORECASE)
_DECLARE = (
    "if it is a recording, declare its layout: eegfm ingest folder --param columns=C3,C4,… --param rate=250 "
    "--param unit=uV"
)


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a table.

    Raises
    ------
    SourceError
        Where nothing says its rate and unit, or it holds no EEG.
    """
    lines = _head(path)
    text = "\n".join(lines)
    if "EYELINK" in text[:2000].upper():
        raise SourceError("channels", f"{path.name} holds eye tracking (EyeLink), no EEG")
    if text.startswith("%OpenBCI Raw"):
        return _openbci(path, text)
    if isinstance(ask.layout, TableLayout):
        return _declared(path, ask.layout)
    rows = [line for line in lines if line.strip() and not line.startswith(("%", "@", "#"))]
    columns = [cell.lower() for cell in _cells(rows[0])] if rows else []
    if columns[:1] in (["timestamps"], ["timestamp"]) and set(columns) >= _MUSE:
        return _muse(path, lines[0])
    raise _refused(path, lines, rows, columns)


def _refused(path: Path, lines: list[str], rows: list[str], columns: list[str]) -> SourceError:
    if _stages(path, lines, "\n".join(lines)):
        return SourceError(
            "annotations",
            f"{path.name} is a hypnogram (a sleep stage a line), and no recording here goes with it",
        )
    wide = len(_cells(rows[1])) if len(rows) > 1 else len(columns)
    if any(name.startswith("raw_tp9") for name in columns):
        return SourceError(
            "read",
            f"{path.name} is a Mind Monitor export: mostly band powers, with {len(columns)} names for rows of {wide} "
            "columns; export raw Muse data (timestamps,TP9,AF7,…)",
        )
    headed = bool(columns) and not _numbers(columns)
    if not any(_number(cell) for row in rows[1:] for cell in _cells(row)) and headed:
        return SourceError("read", f"{path.name} holds words, no samples")
    if headed and not any(_ELECTRODE.match(name) for name in columns):
        return SourceError(
            "channels",
            f"{path.name} is a table of {', '.join(columns[:5])}: none of its columns is an electrode, so it is no "
            f"EEG; {_DECLARE}",
        )
    said = (
        f"its header names {len(columns)} columns and its rows have {wide}; "
        if headed and wide != len(columns)
        else ""
    )
    names = f" ({', '.join(columns[:5])} …)" if headed else ""
    return SourceError(
        "read",
        f"{path.name} is a text table{names} that says neither its rate nor its unit; {said}{_DECLARE}",
    )


def _openbci(path: Path, text: str) -> Recording:
    match = re.search(r"Sample Rate\s*=\s*([\d.]+)", text)
    if match is None or float(match.group(1)) <= 0:
        raise SourceError("read", f"{path.name}: OpenBCI's header gives no sample rate; fetch it again")
    rate_hz = float(match.group(1))
    rows = _rows(path, ",", "%", 0)
    if len(rows) == 0:
        raise SourceError("read", f"{path.name} has OpenBCI's header and no samples")
    board = re.search(r"Number of channels\s*=\s*(\d+)", text)
    extra = 3 if rows.shape[1] > 4 else 0  # the accelerometer's
    channels = int(board.group(1)) if board else rows.shape[1] - 1 - extra
    channels = min(channels, rows.shape[1] - 1)
    counter, data = rows[:, 0], rows[:, 1 : 1 + channels].T
    jumps = (np.diff(counter).astype(np.int64) - 1) % _OPENBCI_COUNTER
    breaks = np.flatnonzero(jumps) + 1
    notes = (
        [f"the board's counter lost {int(jumps.sum())} samples at {len(breaks)} places: gaps"]
        if len(breaks)
        else []
    )
    edges = [0, *breaks.tolist(), data.shape[1]]
    lost = np.concatenate([[0], np.cumsum(jumps[breaks - 1])]) if len(breaks) else np.zeros(1)
    segments = tuple(
        ((a + int(before)) / rate_hz, a, b) for (a, b), before in zip(pairwise(edges), lost, strict=True)
    )
    header = _header(path, "OpenBCI", [f"EEG{i + 1}" for i in range(channels)], rate_hz, data.shape[1], "uV")
    name = _OPENBCI_BOARDS.get(channels, "OpenBCI")
    return of_array(
        replace(header, segments=segments, notes=tuple(notes), recorded=(("amplifier", name),)), data
    )


def _muse(path: Path, head: str) -> Recording:
    columns = [cell.strip() for cell in head.split(",")]
    rows = _rows(path, ",", "%", 1)
    if rows.shape[0] < 2 or rows.shape[1] != len(columns):
        raise SourceError(
            "read", f"{path.name}: its header names {len(columns)} columns, its rows have {rows.shape[1]}"
        )
    times = rows[:, 0]
    span_s = float(times[-1] - times[0])
    if span_s <= 0:
        raise SourceError("read", f"{path.name}: its time stamps do not go on, so no rate is known")
    mean_hz = (len(times) - 1) / span_s
    rate_hz = 256.0 if abs(mean_hz / 256 - 1) < 0.02 else 220.0 if abs(mean_hz / 220 - 1) < 0.02 else mean_hz
    steps = np.diff(times)
    notes = [f"time stamps give {mean_hz:.4g} Hz on average; {rate_hz:g} Hz is taken"]
    if backwards := int((steps < 0).sum()):
        notes.append(
            f"time stamps go back {backwards} times in {len(times)} rows (packets); rows are taken in order"
        )
    breaks = np.flatnonzero(steps > 1.0) + 1
    edges = [0, *breaks.tolist(), len(times)]
    segments = tuple((float(times[a] - times[0]), a, b) for a, b in pairwise(edges))
    channels = [
        i for i, name in enumerate(columns) if i and not name.lower().startswith(("marker", "timestamp"))
    ]
    header = _header(path, "Muse", [columns[i] for i in channels], rate_hz, len(times), "uV")
    kinds = tuple("misc" if "aux" in columns[i].lower() else "eeg" for i in channels)
    events = [
        (float(i / rate_hz), 0.0, f"{columns[at]} {rows[i, at]:g}")
        for at in range(len(columns))
        if columns[at].lower().startswith("marker")
        for i in np.flatnonzero(np.nan_to_num(rows[:, at]))
    ]
    header = replace(
        header, types=kinds, segments=segments, notes=tuple(notes), annotations=tuple(sorted(events))
    )
    return of_array(header, rows[:, channels].T)


def _declared(path: Path, layout: TableLayout) -> Recording:
    if (factor := factor_uv(layout.unit)) is None:
        raise SourceError(
            "units", f"{path.name}: the declared unit {layout.unit!r} is no voltage (uV, mV, V, nV)"
        )
    rows = _rows(path, layout.separator, layout.comment, layout.skip_lines)
    if len(rows) == 0:
        raise SourceError("read", f"{path.name} holds no rows of numbers")
    if rows.shape[1] != len(layout.columns):
        raise SourceError(
            "read",
            f"{path.name}: its rows have {rows.shape[1]} columns, {len(layout.columns)} are declared "
            f"({', '.join(layout.columns[:6])} …)",
        )
    chosen = [i for i, name in enumerate(layout.columns) if name]
    names = [layout.columns[i] for i in chosen]
    header = _header(path, "text table", names, layout.rate_hz, len(rows), layout.unit)
    note = f"rate ({layout.rate_hz:g} Hz), unit ({layout.unit}) and names are declared; the file does not say them"
    return of_array(replace(header, notes=(note,)), rows[:, chosen].T, factor)


def _header(path: Path, kind: str, names: list[str], rate_hz: float, n: int, unit: str) -> SourceHeader:
    return SourceHeader(
        path=str(path),
        format=kind,
        reader="eegfm",
        rate_hz=float(rate_hz),
        n_samples=n,
        names=unique(names),
        types=("eeg",) * len(names),
        rates=(float(rate_hz),) * len(names),
        units=(unit,) * len(names),
        positions={},
        annotations=(),
        segments=((0.0, 0, n),),
    )


def _rows(path: Path, separator: str, comment: str, skip_lines: int) -> np.ndarray:
    """Rows of numbers; rows of another length than most are an error, a cut last line is left out."""
    import pandas

    try:
        table = pandas.read_csv(
            path,
            sep=separator if separator else r"\s+",
            comment=comment or None,
            skiprows=_lines_before(path, comment, skip_lines),
            header=None,
            skipinitialspace=True,
            encoding="latin-1",
            engine="c",
        )
    except pandas.errors.EmptyDataError:
        return np.zeros((0, 0))
    except (pandas.errors.ParserError, ValueError) as error:
        raise SourceError(
            "read", f"{path.name}: its rows differ in length ({error}); correct the table"
        ) from error
    if len(table) and table.iloc[-1].isna().any():
        table = table.iloc[:-1]
    numbers = table.apply(pandas.to_numeric, errors="coerce")
    wrong = numbers.isna() & table.notna()
    if wrong.to_numpy().any():
        row = int(np.flatnonzero(wrong.to_numpy().any(axis=1))[0])
        raise SourceError(
            "read", f"{path.name}: row {row + 1} holds words where numbers are expected; correct the table"
        )
    if numbers.isna().to_numpy().any():
        row = int(np.flatnonzero(numbers.isna().to_numpy().any(axis=1))[0])
        raise SourceError(
            "read", f"{path.name}: row {row + 1} has fewer columns than the widest one; correct the table"
        )
    return numbers.to_numpy(dtype=np.float64)


def _lines_before(path: Path, comment: str, skip_lines: int) -> int:
    """Lines before the first row: those declared, ARFF's up to @DATA."""
    if path.suffix.lower() != ".arff":
        return skip_lines
    with path.open(encoding="latin-1") as file:
        for index, line in enumerate(file):
            if line.strip().upper() == "@DATA":
                return index + 1
    return skip_lines


def _head(path: Path) -> list[str]:
    with path.open("rb") as file:
        return file.read(2**16).decode("latin-1").splitlines()[:_HEAD_LINES]


def _stages(path: Path, lines: list[str], text: str) -> bool:
    """One small whole number a line, under a header or a name that speaks of sleep stages."""
    values = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "%"))]
    single = bool(values) and all(re.fullmatch(r"-?\d|[WRN]\d?|N[123]|REM|Wake", value) for value in values)
    return single and bool(_STAGES.search(text) or re.search(r"hypno|stages", path.name, re.IGNORECASE))


def _cells(line: str) -> list[str]:
    separator = next((one for one in (",", ";", "\t") if one in line), None)
    return [cell.strip() for cell in line.split(separator)]


def _numbers(cells: list[str]) -> bool:
    return all(_number(cell) for cell in cells)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
