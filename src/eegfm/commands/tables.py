"""The table of models on a terminal: the same rows as in the report."""

from pathlib import Path

from eegfm.commands.output import print_columns


def print_models(run_dir: str | Path) -> None:
    """Print a fine-tuning run's models, a block for every kind of use of the test person's data."""
    from eegfm.report.models import MEASURES, tables
    from eegfm.report.run import load_run

    run = load_run(run_dir)
    for table in tables(run):
        print(f"\n{table.title}")
        rows = [
            [row.title, row.alignment or "none", len(row.people)]
            + [f"{row.measures[measure]:.3f}" for measure in MEASURES]
            + [f"{row.sd_people:.3f}", f"{row.above_chance}/{len(row.people)}"]
            for row in table.rows
        ]
        header = ["model", "alignment", "people", *MEASURES.values(), "SD", "above chance"]
        print_columns(header, rows, indent="  ")
    if run.chance:
        permutations = run.chance["permutations"]
        print(
            f"\nchance: {run.chance['mean']:.3f}, mean of {permutations} runs on permuted training labels\n"
        )
