"""One recording for people: who, how it was measured, what was done to it, how good it is."""

import base64
import difflib
import html
import io
import json
import textwrap
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from eegfm.report.projection import project
from eegfm_lake.errors import UsageError
from eegfm_lake.schema import COMMON_COVARIATES
from eegfm_lake.table import Lake

_HEAD_COLUMNS, _HEAD_ROWS = 69, 25


def find_recording(lake: Lake, recording_id: str, profile: str | None = None) -> dict[str, Any]:
    """Read a recording's row.

    Parameters
    ----------
    lake : Lake
    recording_id : str
    profile : str, optional
        Where it is stored in several; the first by name otherwise.

    Returns
    -------
    dict
        Shaped like `eegfm_lake.schema.RECORDINGS`.

    Raises
    ------
    UsageError
        The lake has no such recording; the closest ids are named.
    """
    equal = {"recording_id": recording_id} | ({"profile": profile} if profile else {})
    rows = lake.recordings(**equal).to_pylist()
    if rows:
        return min(rows, key=lambda row: row["profile"])
    known = sorted(set(lake.recordings(["recording_id"])["recording_id"].to_pylist()))
    close = difflib.get_close_matches(recording_id, known, n=3)
    close = close or [one for one in known if recording_id.lower() in one.lower()][:3]
    hint = (
        f"did you mean {', '.join(close)}?"
        if close
        else "list them: eegfm sql 'SELECT recording_id FROM recordings'"
    )
    in_profile = f" in profile {profile}" if profile else ""
    raise UsageError(f"no recording {recording_id}{in_profile} among the lake's {len(known)}; {hint}")


def describe(row: dict[str, Any], *, colour: bool = False) -> str:
    """Write a recording's row as a page of text.

    Parameters
    ----------
    row : dict
        From `find_recording`.
    colour : bool
        Headings and bad channels stand out, for terminals.

    Returns
    -------
    str
    """
    sections = {
        f"{row['recording_id']}  ({row['profile']})": _identity(row),
        "methodology": _methodology(row),
        "chain": _chain(row),
        "quality": _quality(row),
        "events": _events(row),
        "channels": _channels(row),
        "head": draw_text_head(row["channels"], colour=colour),
    }
    bold = ("\033[1m", "\033[0m") if colour else ("", "")
    parts = [
        f"{bold[0]}{title}{bold[1]}\n" + "\n".join(f"  {line}" for line in lines)
        for title, lines in sections.items()
    ]
    return "\n\n".join(parts)


def draw_text_head(channels: list[dict[str, Any]], *, colour: bool = False) -> list[str]:
    """Draw the EEG channels' names where they lie, seen from above; bad ones are marked with ``!``.

    Parameters
    ----------
    channels : list of dict
        Shaped like `eegfm_lake.schema.CHANNELS`.
    colour : bool
        Bad ones are red too.

    Returns
    -------
    list of str
        Lines of equal width; electrodes without a position are named below them.
    """
    eeg = [c for c in channels if c["type"] == "eeg" and c["status"] != "dropped"]
    if not eeg:
        return ["no EEG channel"]
    places = project(_positions(eeg))
    grid = [[" "] * _HEAD_COLUMNS for _ in range(_HEAD_ROWS)]
    _draw_outline(grid)
    for channel, (x, y) in zip(eeg, places, strict=True):
        if np.isfinite(x):
            _write(grid, channel["name"] + ("!" if channel["status"] == "bad" else ""), *_cell(x, y))
    lines = ["".join(line).rstrip() for line in grid]
    if colour:
        for channel in (c for c in eeg if c["status"] == "bad"):
            lines = [
                line.replace(f"{channel['name']}!", f"\033[31m{channel['name']}!\033[0m") for line in lines
            ]
    nowhere = [c["name"] for c, (x, _) in zip(eeg, places, strict=True) if not np.isfinite(x)]
    return [*lines, *([f"without a position: {', '.join(nowhere)}"] if nowhere else [])]


def write_picture(row: dict[str, Any], out: str | Path) -> Path:
    """Draw a recording's montage and its spectrum before and after harmonisation as PNG; returns `out`."""
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(_picture(row))
    return out


def write_html(row: dict[str, Any], out: str | Path) -> Path:
    """Write the picture and the description as one page that needs no network; returns `out`."""
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    page = _PAGE.format(
        title=html.escape(row["recording_id"]),
        picture=base64.b64encode(_picture(row)).decode(),
        text=html.escape(describe(row)),
    )
    out.write_text(page, encoding="utf-8")
    return out


def _picture(row: dict[str, Any]) -> bytes:
    from matplotlib.figure import Figure

    from eegfm.report.heads import draw_montage
    from eegfm.report.style import SERIES, TRUTH, printed, save_png

    eeg = [c for c in row["channels"] if c["type"] == "eeg" and c["status"] != "dropped"]
    png = io.BytesIO()
    with printed():
        figure = Figure(figsize=(10, 4.9))
        head, spectrum = figure.subplots(1, 2)
        draw_montage(head, [c["name"] for c in eeg], _positions(eeg), [c["region"] for c in eeg])
        head.set_title(f"{row['recording_id']}: {len(eeg)} EEG channels", loc="center", pad=14)
        _draw_spectrum(spectrum, row["spectrum"] or {}, "before_uv2_hz", "as recorded", TRUTH)
        _draw_spectrum(spectrum, row["spectrum"] or {}, "after_uv2_hz", "in the lake", SERIES[0])
        spectrum.set(
            title="Median over good channels", xlabel="Hz", ylabel="µV²/Hz", yscale="log", xlim=(0, 100)
        )
        spectrum.legend()
        save_png(figure, png)
    return png.getvalue()


_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,">
<body style="font: 14px/1.4 sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem">
<img alt="montage and spectrum" style="width: 100%" src="data:image/png;base64,{picture}">
<pre style="overflow-x: auto">{text}</pre>
"""


def _identity(row: dict[str, Any]) -> list[str]:
    source, signal = row["source"] or {}, row["signal"] or {}
    megabytes = (source.get("bytes") or 0) / 1e6
    age = f"{row['age']:.0f} years" if row["age"] is not None else None
    also = f"same as {', '.join(row['same_as'])}" if row["same_as"] else None
    facts = [age, row["sex"], row["handedness"], row["diagnosis"], also]
    where = [f"{key} {row[key]}" for key in ("session", "task", "run") if row[key]]
    lines = [
        f"person     {row['person']} ({', '.join(filter(None, facts)) or 'age and sex unknown'})",
        f"dataset    {row['dataset']}{', ' + ', '.join(where) if where else ''}",
        f"signal     {_minutes(row['duration_s'])} at {signal.get('rate', 0):g} Hz in {_segments(row)}",
        f"source     {source.get('path')} ({source.get('format')}, {megabytes:.1f} MB, "
        f"read by {source.get('reader')})",
        f"           sha256 {source.get('sha256')}",
        f"licence    {row['licence']}",
        f"cite       {row['citation']}",
    ]
    if row["label"] or row["target"] is not None:
        lines.insert(2, f"label      {row['label'] or row['target']}")
    return lines


def _methodology(row: dict[str, Any]) -> list[str]:
    entries = row["methodology"] or []
    lines = [f"{e['covariate'].replace('_', ' '):<18} {e['value']} ({e['origin']})" for e in entries]
    known = {entry["covariate"] for entry in entries}
    unknown = [name.replace("_", " ") for name in COMMON_COVARIATES if name not in (*known, "simulated")]
    return lines + ([f"{'unknown':<18} {', '.join(unknown)}"] if unknown else [])


def _chain(row: dict[str, Any]) -> list[str]:
    chain = row["chain"] or {"version": "unknown", "steps": []}
    lines = [f"version {chain['version']}"]
    for number, step in enumerate(chain["steps"], 1):
        name = f"{number:>2}. {step['name'].replace('_', ' '):<18} "
        words = _step_words(json.loads(step["params"] or "{}"))
        lines += textwrap.wrap(name + words, 100, subsequent_indent=" " * len(name), drop_whitespace=True)
    return lines


def _step_words(params: dict[str, Any]) -> str:
    told = {key: value for key, value in params.items() if value not in (None, [], {}, "")}
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in told.items())


def _quality(row: dict[str, Any]) -> list[str]:
    eeg = [c for c in row["channels"] if c["type"] == "eeg"]
    status = Counter(channel["status"] for channel in eeg)
    blocks = row["blocks"] or []
    good = sum(bool(block["good"]) for block in blocks)
    lines = [
        f"EEG channels   {status['good']} good, {status['bad']} bad, {status['dropped']} dropped",
        f"blocks         {good} of {len(blocks)} good",
    ]
    for key, words, form in (
        ("amplitude_uv", "amplitude", "{:.1f} µV"),
        ("line_ratio", "line ratio", "{:.2f} in the source"),
        ("correlation", "neighbours", "correlate with {:.2f}"),
        ("clipped_share", "at the rail", "{:.1%} of samples, worst channel"),
    ):
        values = [block[key] for block in blocks if block[key] is not None]
        if values:
            lines.append(f"{words:<14} {form.format(float(np.median(values)))} (median over blocks)")
    if row["trailing_zeros_cut"]:
        lines.append(
            f"cut            {row['trailing_zeros_cut']} trailing samples that were zero in all channels"
        )
    return lines


def _events(row: dict[str, Any]) -> list[str]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in row["events"] or ():
        found[event["label"] or "(no known meaning)"].append(event)
    if not found:
        return ["none"]
    width = max(map(len, found))
    return [
        f"{label:<{width}}  {len(events):>4} × {np.median([e['duration_s'] or 0 for e in events]):.1f} s, "
        f"source {', '.join(sorted({str(e['source_label']) for e in events})[:6])}"
        for label, events in sorted(found.items())
    ]


def _channels(row: dict[str, Any]) -> list[str]:
    lines = [_channel_line("name", "source", "type", "status", "position", "region", "band", "µV")]
    for c in row["channels"]:
        band = f"{c['band_low'] or 0:g}–{c['band_high']:g} Hz" if c["band_high"] else ""
        scale = f"{c['scale_uv']:.1f}" if c["scale_uv"] is not None else ""
        place, region = c["position_origin"] or "", (c["region"] or "").replace("_", " ")
        line = _channel_line(c["name"], c["source_name"], c["type"], c["status"], place, region, band, scale)
        lines.append(f"{line}  {'; '.join(c['reasons'] or ())}".rstrip())
    return lines


def _channel_line(name: str, source: str, kind: str, status: str, place: str, region: str, *rest: str) -> str:
    band, scale = rest
    return f"{name:<9} {source:<12} {kind:<6} {status:<8} {place:<9} {region:<20} {band:<13} {scale:>6}"


def _segments(row: dict[str, Any]) -> str:
    count = len(row["segments"] or ())
    return "one segment" if count == 1 else f"{count} segments"


def _positions(channels: list[dict[str, Any]]) -> np.ndarray:
    return np.array(
        [[np.nan if c[axis] is None else c[axis] for axis in "xyz"] for c in channels], dtype=float
    )


def _draw_outline(grid: list[list[str]]) -> None:
    for angle in np.linspace(0, 2 * np.pi, 240, endpoint=False):
        column, line = _cell(1.06 * np.cos(angle), 1.06 * np.sin(angle))
        grid[line][column] = "·"
    _write(grid, "╱╲", *_cell(0, 1.2))


def _cell(x: float, y: float) -> tuple[int, int]:
    """Column and line of a place on the head; a character is about twice as high as it is wide."""
    column = round((_HEAD_COLUMNS - 1) / 2 * (1 + x / 1.3))
    line = round((_HEAD_ROWS - 1) / 2 * (1 - y / 1.3))
    return min(max(column, 0), _HEAD_COLUMNS - 1), min(max(line, 0), _HEAD_ROWS - 1)


def _write(grid: list[list[str]], word: str, column: int, line: int) -> None:
    start = min(max(0, column - len(word) // 2), _HEAD_COLUMNS - len(word))
    taken = any(grid[line][start + i] not in " ·" for i in range(len(word)))
    if taken:
        grid[line][column] = "•"
        return
    for i, letter in enumerate(word):
        grid[line][start + i] = letter


def _draw_spectrum(axes: Any, spectrum: dict[str, Any], key: str, name: str, colour: str) -> None:
    if spectrum.get(key):
        power = np.array(
            [np.nan if value is None or value <= 0 else value for value in spectrum[key]], dtype=float
        )
        axes.plot(spectrum["freqs_hz"], power, color=colour, label=name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"({', '.join(f'{key} {_value(item)}' for key, item in value.items())})"
    if isinstance(value, list):
        return " ".join(_value(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _minutes(seconds: float | None) -> str:
    return f"{(seconds or 0) // 60:.0f} min {(seconds or 0) % 60:.0f} s"
