"""One self-contained HTML page a run; importing this package imports nothing heavy."""

from pathlib import Path


def write_report(run_dir: str | Path) -> Path:
    """Draw a pre-training or fine-tuning run as one HTML page that needs no network.

    Parameters
    ----------
    run_dir : str or Path
        The run's folder.

    Returns
    -------
    Path
        ``<run_dir>/report.html``, replaced if it was there.

    Raises
    ------
    EegfmError
        The folder holds no run.
    """
    from eegfm.report.page import build_page
    from eegfm.report.run import load_run

    run = load_run(run_dir)
    page = run.path / "report.html"
    page.write_text(build_page(run), encoding="utf-8")
    return page


def write_overview_png(run_dir: str | Path, out: str | Path) -> Path:
    """Draw the four pictures that say what a run is: montages, a reconstruction, people, the table.

    Parameters
    ----------
    run_dir : str or Path
        The folder of a fine-tuning run whose encoder's pre-training run is still there.
    out : str or Path
        The PNG to write.

    Returns
    -------
    Path
        `out`.
    """
    from eegfm.report.overview import draw_overview
    from eegfm.report.run import load_run

    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_overview(load_run(run_dir), out)
    return out


__all__ = ["write_overview_png", "write_report"]
