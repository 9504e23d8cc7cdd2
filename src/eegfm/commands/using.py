"""``predict`` and ``report``: what a run is good for."""

import argparse
import sys

from eegfm.commands.output import as_csv, as_json
from eegfm.commands.verb import Verb


def predict(options: argparse.Namespace) -> None:
    """Run `eegfm.predict.predict_file` on every file; channels that do not match go to stderr, one a line."""
    import pyarrow as pa

    from eegfm.predict import predict_file

    tables = []
    for file in options.files:
        prediction = predict_file(
            options.run_dir,
            file,
            model=options.model,
            alignment=options.target_data,
            at=options.at,
            windows=options.windows,
        )
        for line in prediction.channel_report:
            print(f"{file}: {line}", file=sys.stderr)
        tables.append(prediction.table)
    table = pa.concat_tables(tables)
    sys.stdout.write(as_json(table) if options.format == "json" else as_csv(table))


def report(options: argparse.Namespace) -> None:
    """Run `eegfm.report.write_report` and name the page."""
    from eegfm.report import write_report

    print(write_report(options.run_dir))


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN_DIR", help="the folder of a fine-tuning run")
    parser.add_argument("files", metavar="FILE", nargs="+", help="EEG files of any format that eegfm reads")
    parser.add_argument("--model", help="which of the run's decoders (default: CSBrain where there is one)")
    parser.add_argument(
        "--at",
        metavar="EVENT",
        action="append",
        default=[],
        help="trials begin at events of this label (a glob; may be repeated; default: at every event)",
    )
    parser.add_argument("--windows", action="store_true", help="windows in a row, whatever the file's events")
    parser.add_argument(
        "--target-data", choices=("none", "past", "all"), help="what may be used of the file (default: past)"
    )
    parser.add_argument("--format", choices=("csv", "json"), default="csv", help="default: csv")


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN_DIR", help="the folder of a pre-training or fine-tuning run")


VERBS = (
    Verb(
        "predict",
        "read any EEG file with a run's decoder: probabilities per trial or window",
        predict,
        (
            "eegfm predict runs/left_right recording.edf",
            "eegfm predict runs/left_right recording.edf --at T1 --at T2",
            "eegfm predict runs/left_right *.vhdr --format json > predictions.json",
        ),
        "The file goes through the run's own chain: the same harmonisation, reader operations and\n"
        "decoder. Channels that do not match are reported one by one on stderr.",
        _predict_arguments,
    ),
    Verb(
        "report",
        "draw a run as one self-contained HTML page",
        report,
        ("eegfm report runs/left_right",),
        "People, hours, montages, methodology, spectra, learning curves, reconstructions, a dot per\n"
        "person against chance, the table of models. The page opens without a network.",
        _report_arguments,
    ),
)
