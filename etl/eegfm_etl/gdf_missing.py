"""What MNE does not say of a GDF: where nothing was recorded.

GDF writes a missing value as the smallest number of its type, which BioSig gives as NaN and MNE as a potential.
https://www.bbci.de/competition/iv/desc_2a.pdf: "the runs are separated by 100 missing values, which are encoded
as not-a-numbers (NaN) by default".
"""

import mne
import numpy as np

_CHUNK_S = 300


def missing(raw: mne.io.BaseRaw) -> list[tuple[int, int]]:
    """Find the stretches in which every channel of a GDF holds its smallest number.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        As `mne.io.read_raw_gdf` gives it.

    Returns
    -------
    list of (first, stop)
        Samples, in time's order.
    """
    header = raw._raw_extras[0]  # MNE keeps the physical range nowhere else
    lowest = header["digital_min"] * header["cal"] + header["offsets"]
    lowest_v = (lowest * header["units"])[np.asarray(header["sel"])]
    step_v = np.abs(header["cal"] * header["units"])[np.asarray(header["sel"])]
    chunk = max(1, round(_CHUNK_S * raw.info["sfreq"]))
    gone = np.zeros(len(raw.times) + 2, dtype=bool)
    for start in range(0, len(raw.times), chunk):
        data = raw.get_data(start=start, stop=min(start + chunk, len(raw.times)))
        gone[1 + start : 1 + start + data.shape[1]] = (data <= (lowest_v + step_v / 2)[:, None]).all(axis=0)
    edges = np.flatnonzero(gone[1:] != gone[:-1])
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]
