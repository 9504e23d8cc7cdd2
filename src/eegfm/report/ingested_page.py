"""The page of an ingest: what became of a data set's files."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from eegfm import __version__
from eegfm.report.figures_data import MONTAGES_SHOWN, montages_figure, spectra_figure
from eegfm.report.figures_ingest import PHYSIOLOGICAL_UV, coverage_figure, effort_figure, quality_figure
from eegfm.report.ingested import WORST_SHOWN, Ingest, Ingested, look
from eegfm.report.material import Group
from eegfm.report.page import template_named
from eegfm.report.style import inline_svg, themed
from eegfm_lake.errors import EegfmError
from eegfm_lake.schema import COVARIATES, FAILURE_STEPS
from eegfm_lake.table import Lake


def write_ingest_report(
    lake: Lake,
    dataset: str,
    profile: str,
    out: str | Path,
    logs: Mapping[str, list[dict[str, Any]]],
    *,
    skipped: Mapping[str, int] | None = None,
    command: str = "",
) -> Path:
    """Draw what a lake holds of a data set as one HTML page that needs no network.

    Parameters
    ----------
    lake : Lake
    dataset, profile : str
    out : str or Path
        The page to write.
    logs : mapping of str to list of dict
        Id of an ingest to the lines of its log, the newest last.
    skipped : mapping of str to int, optional
        Why files were not read this time.
    command : str
        What was asked for.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    EegfmError
        Where the lake holds nothing of it, or the page cannot be written.
    """
    found = look(lake, dataset, profile, dict(logs))
    stored = {entry.rel: entry.bytes for entry in lake.storage.list(f"signals/{dataset}")}
    with themed():
        text = template_named("ingest.html").render(
            found=found,
            version=__version__,
            command=command,
            facts=_facts(found, sum(stored.get(file, 0) for file in found.totals["files"])),
            skipped=dict(skipped or {}),
            meaning=FAILURE_STEPS,
            quality=_quality(found),
            montages=_montages(found),
            methodology=_methodology(found),
            effort=_effort(found.ingests),
            physiological=PHYSIOLOGICAL_UV,
        )
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EegfmError(
            f"the page {out} could not be written ({error.strerror}); name another file"
        ) from error
    return out


def _facts(found: Ingested, stored_bytes: int) -> list[tuple[str, str]]:
    totals = found.totals
    facts = [
        (f"{totals['recordings']:,}", "recordings"),
        (f"{totals['failures']:,}", "files that failed"),
        (f"{totals['people']:,}", "people"),
        (f"{totals['hours']:,.1f}", "hours of EEG"),
        (_size(stored_bytes), f"stored, of {_size(totals['source_bytes'])} read"),
    ]
    done = [one for one in found.ingests if one.done]
    if done:
        facts.append((f"{done[-1].hours_per_s:.2g}", "hours of EEG a second, the last time"))
    return facts


def _quality(found: Ingested) -> dict[str, Any] | None:
    rows = found.recordings
    if not rows:
        return None
    good = _array(row["good_share"] for row in rows)
    bad = _array(row["bad_channels"] / max(row["eeg_channels"], 1) for row in rows)
    line = _array(row["line_ratio"] for row in rows)
    low, high = PHYSIOLOGICAL_UV
    outside = (
        np.mean((found.amplitudes_uv < low) | (found.amplitudes_uv > high))
        if found.amplitudes_uv.size
        else 0.0
    )
    spectra = Group(found.dataset, [{"spectrum": one} for one in found.spectra], 0.0, 0)
    described = f"Median share of good blocks {np.median(good):.2f}, of bad channels {np.median(bad):.2f}"
    return {
        "figure": _svg(quality_figure(good, bad, found.amplitudes_uv, line), "quality", described),
        "worst": [row for row in rows if row["good_share"] < 1 or row["bad_channels"]][:WORST_SHOWN],
        "all_good": int(sum((good == 1) & (bad == 0))),
        "outside": float(outside),
        "spectra": _svg(
            spectra_figure([spectra]), "spectra", "Median power spectra before and after harmonisation"
        )
        if found.spectra
        else None,
        "median_amplitude": float(np.median(found.amplitudes_uv)) if found.amplitudes_uv.size else None,
    }


def _montages(found: Ingested) -> dict[str, Any] | None:
    if not found.montages:
        return None
    described = ", ".join(
        f"{len(one.names)} electrodes in {one.recordings} recordings" for one in found.montages
    )
    return {
        "figure": _svg(montages_figure(found.montages), "montages", f"Montages drawn on a head: {described}"),
        "hidden": max(0, len(found.montages) - MONTAGES_SHOWN),
        "origins": found.origins,
    }


def _methodology(found: Ingested) -> dict[str, Any] | None:
    recordings = found.totals["recordings"]
    if not recordings:
        return None
    # "simulated" is absent, rightly, where people were recorded.
    shown = [name for name in COVARIATES if name != "simulated" or name in found.coverage]
    figure = coverage_figure(found.coverage, shown, recordings)
    known = [name for name in shown if name in found.coverage]
    return {
        "figure": _svg(figure, "coverage", f"Known: {', '.join(known) or 'nothing'}"),
        "values": {name: found.values[name].most_common(6) for name in known},
        "more": {name: max(0, len(found.values[name]) - 6) for name in known},
    }


def _effort(ingests: list[Ingest]) -> dict[str, Any] | None:
    if not ingests:
        return None
    steps: Counter[str] = Counter()
    for one in ingests:
        steps.update(one.steps)
    slowest = sorted(
        (line for one in ingests for line in one.slowest), key=lambda line: -line.get("seconds", 0.0)
    )
    return {
        "figure": _svg(effort_figure(steps), "effort", "Share of the time by step")
        if sum(steps.values())
        else None,
        "slowest": slowest[:5],
    }


def _array(values: Any) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _svg(figure: Figure, name: str, description: str) -> Markup:
    return Markup(inline_svg(figure, name, description))


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
