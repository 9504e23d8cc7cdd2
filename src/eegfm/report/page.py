"""The page: sections of prose, tables and figures, put into one HTML file."""

import math
from datetime import datetime
from typing import Any

import jinja2
import yaml
from markupsafe import Markup
from matplotlib.figure import Figure

from eegfm import __version__
from eegfm.report.figures_data import MONTAGES_SHOWN, montages_figure, spectra_figure
from eegfm.report.figures_learning import (
    correlation,
    finetuning_figure,
    pretraining_figure,
    reconstructions_figure,
)
from eegfm.report.figures_people import confusion_figure, people_figure
from eegfm.report.material import Covariate, groups, licences, methodology, montages
from eegfm.report.models import MEASURES, TARGET_DATA, Row, Table, tables
from eegfm.report.run import Run, is_simulated
from eegfm.report.style import inline_svg, themed

CONFUSIONS_SHOWN = 4


def build_page(run: Run) -> str:
    """Draw and write everything that a run has.

    Parameters
    ----------
    run : Run

    Returns
    -------
    str
        HTML that refers to nothing outside itself.
    """
    with themed():
        return template_named("page.html").render(
            run=run,
            version=__version__,
            simulated=run.lock is not None and is_simulated(run.lock),
            facts=_facts(run),
            data=_data(run),
            pretraining=_pretraining(run),
            decoding=_decoding(run),
            provenance=_provenance(run),
        )


def template_named(name: str) -> jinja2.Template:
    """Return a template of this package; what it names and is not given is an error, and text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eegfm.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: (
        f"{value:.3f}" if value is not None and math.isfinite(value) else "–"
    )
    return environment.get_template(name)


def _facts(run: Run) -> list[tuple[str, str]]:
    facts = []
    if run.lock is not None:
        found = groups(run.lock)
        facts += [
            (f"{len({person for group in found for person in group.people}):,}", "people"),
            (f"{sum(group.hours for group in found):,.1f}", "hours of EEG"),
            (f"{run.lock.windows.num_rows:,}", "windows"),
            (f"{len(montages(run.lock))}", "montages"),
        ]
    if run.kind == "finetune":
        headline = _headline(tables(run))
        if headline is not None:
            row = headline.rows[0]
            facts.append(
                (
                    f"{row.measures['balanced_accuracy']:.3f}",
                    f"balanced accuracy, {row.label} ({headline.target_data})",
                )
            )
        if run.chance:
            facts.append((f"{run.chance['mean']:.3f}", "chance (permuted labels)"))
    return facts


def _data(run: Run) -> dict[str, Any] | None:
    if run.lock is None:
        return None
    found, caps = groups(run.lock), montages(run.lock)
    names = [group.name for group in found]
    described = ", ".join(f"{len(cap.names)} electrodes ({cap.group})" for cap in caps)
    return {
        "groups": found,
        "ages": {group.name: _ages(group.recordings) for group in found},
        "montages": _svg(montages_figure(caps), "montages", f"Montages drawn on a head: {described}"),
        "montages_hidden": max(0, len(caps) - MONTAGES_SHOWN),
        "covariates": _by_covariate(methodology(run.lock)),
        "names": names,
        "licences": licences(run.lock),
        "spectra": _svg(
            spectra_figure(found), "spectra", "Median power spectra before and after harmonisation"
        ),
        "channels": _channel_counts(run),
    }


def _pretraining(run: Run) -> dict[str, Any] | None:
    source = run.pretraining
    if source is None:
        return None
    return {
        "name": source.name,
        "own": source is run,
        "simulated": source.lock is not None and is_simulated(source.lock),
        "lock": source.info.get("lock", {}),
        "people": len(set(source.lock.recordings["person"].to_pylist())) if source.lock is not None else None,
        "curves": _svg(pretraining_figure(source.log), "pretraining", "Loss of pre-training over steps"),
        "reconstructions": _svg(
            None if source.reconstructions is None else reconstructions_figure(source.reconstructions),
            "reconstructions",
            "Hidden patches of EEG and their reconstruction in microvolts",
        ),
        "correlation": None if source.reconstructions is None else correlation(source.reconstructions),
        "speed": _speed(source.log),
    }


def _decoding(run: Run) -> dict[str, Any] | None:
    found = tables(run)
    headline = _headline(found)
    if headline is None:
        return None
    classes = list(run.classes)
    chance = run.chance["mean"] if run.chance else 1 / max(2, len(classes))
    described = "; ".join(f"{row.label} {row.measures['balanced_accuracy']:.3f}" for row in headline.rows)
    return {
        "names": [name.split("/")[-1].replace("_", " ") for name in classes],
        "tables": found,
        "meaning": TARGET_DATA,
        "measures": MEASURES,
        "chance": run.chance,
        "people": _svg(
            people_figure(found, max(2, len(classes)), chance), "people", f"A dot per person. {described}"
        ),
        "curves": _svg(finetuning_figure(run.log), "finetuning", "Learning curves of fine-tuning"),
        "confusion": _confusion(run, headline, classes),
        "headline": headline,
    }


def _confusion(run: Run, headline: Table, classes: list[str]) -> Markup | None:
    if run.predictions is None or not classes:
        return None
    shown = _csbrain_first(headline.rows)[:CONFUSIONS_SHOWN]
    figure = confusion_figure(run.predictions, shown, classes)
    return _svg(figure, "confusion", "Confusion matrices of " + ", ".join(row.label for row in shown))


def _csbrain_first(rows: tuple[Row, ...]) -> list[Row]:
    return sorted(rows, key=lambda row: not row.model.lower().startswith("csbrain"))


def _headline(found: list[Table]) -> Table | None:
    """Return the first table: `past` where the run has it, for that is what a BCI can do."""
    return found[0] if found else None


def _provenance(run: Run) -> dict[str, Any]:
    info = run.info
    return {
        "command": _words(info.get("command")),
        "started": _moment(info.get("started")),
        "finished": _moment(info.get("finished")),
        "status": info.get("status", "unknown"),
        "device": _words(info.get("device")),
        "versions": info.get("versions") or {},
        "seeds": _words(info.get("seeds", info.get("seed"))),
        "config": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
        "lock": info.get("lock", {}),
    }


def _svg(figure: Figure | None, name: str, description: str) -> Markup | None:
    return None if figure is None else Markup(inline_svg(figure, name, description))


def _ages(recordings: list[dict[str, Any]]) -> str:
    people = {r["person"]: r for r in recordings}
    ages = [r["age"] for r in people.values() if r["age"] is not None]
    sexes = [r["sex"] for r in people.values() if r["sex"]]
    age = f"{min(ages):.0f}–{max(ages):.0f} years" if ages else "age unknown"
    counted = ", ".join(f"{sexes.count(sex)} {sex}" for sex in sorted(set(sexes)))
    return f"{age}; {counted or 'sex unknown'}"


def _by_covariate(found: list[Covariate]) -> dict[str, list[Covariate]]:
    table: dict[str, list[Covariate]] = {}
    for covariate in found:
        table.setdefault(covariate.name, []).append(covariate)
    return table


def _channel_counts(run: Run) -> dict[str, int]:
    assert run.lock is not None
    rows = run.lock.channels.select(["type", "status"]).to_pylist()
    kinds = ("good", "bad", "dropped")
    return {kind: sum(row["type"] == "eeg" and row["status"] == kind for row in rows) for kind in kinds}


def _speed(log: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over the log of what the training loop measured about itself."""
    found = {}
    for key in ("windows_s", "hours_h", "wait_share", "mfu"):
        values = sorted(record[key] for record in log if record.get(key) is not None)
        if values:
            found[key] = float(values[len(values) // 2])
    return found


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "unknown" if value is None else str(value)


def _moment(value: Any) -> str:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M")
    return str(value)[:16].replace("T", " ") if value else "unknown"
