"""A cohort asked, looked at and plotted from Python: the spectra of two classes at one electrode.

    python examples/cohort_in_python.py data/lake eegmmidb_left_right C3 cohort.png

Arguments: the lake, a cohort (a name of the library or a .sql file), an electrode, the picture to write.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import welch

from eegfm.config import ReaderConfig
from eegfm.data import WindowReader, read_windows
from eegfm_lake.cohort import freeze
from eegfm_lake.lock import read_lock
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake


def main(lake_uri: str, cohort: str, electrode: str, picture: str) -> None:
    lake = Lake.open(lake_uri)

    # Ask: SQL over views, back as an Arrow table.
    print(
        run_sql(
            lake, "SELECT dataset, people, recordings, round(hours, 2) AS hours FROM datasets"
        ).to_pandas()
    )

    # Freeze: the same question on the same data is the same lock, and training reads nothing else.
    frozen = freeze(lake, cohort)
    lock = read_lock(frozen.path)
    for row in frozen.counts:
        print(f"{row['label']}: {row['windows']} windows of {row['people']} people")

    # Look: windows as arrays in µV, average reference, one electrode picked after referencing.
    reader = WindowReader(lock, ReaderConfig(reference="average", channels=[electrode], bad="keep"))
    labels = np.array(lock.windows["label"].to_pylist())
    for group in read_windows(reader):
        freqs_hz, power_NF = welch(group.x_NCT[:, 0], fs=reader.rate_hz, nperseg=400)
        for label in sorted(set(labels)):
            chosen = labels[group.windows_N] == label
            plt.semilogy(freqs_hz, np.median(power_NF[chosen], axis=0), label=f"{label} ({chosen.sum()})")

    # Plot.
    plt.xlim(1, 45)
    plt.xlabel("Hz")
    plt.ylabel(f"µV²/Hz at {electrode}, median over windows")
    plt.title(f"{lock.name}@{lock.hash[:12]}")
    plt.legend()
    plt.savefig(picture, dpi=150, bbox_inches="tight")
    print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:5])
