"""The region tables that the released CSBrain is built from: facts that its published weights are tied to.

A code is a lobe (0 frontal, 1 parietal, 2 temporal, 3 occipital, 4 central); the order lists input channels so that
each lobe is contiguous, along a line that somebody wrote by hand. Read from the model files of the snapshot
`yuchen2199/CSBrain` 185aee5. The tables contradict each other (FC1 is frontal in some, central in others), and they
are kept as they are: weights fine-tuned with a table are used with that table.

Electrodes of ``chbmit`` and ``tuab`` are bipolar channels; ``tuab`` names their first electrode alone, so some names
come twice. PhysioNet-MI's table cannot be built as published (FT7 and FT8 are coded temporal and listed under
frontal); both repairs in use are here, ``physionet_ft_frontal`` and ``physionet_ft_temporal``.
"""

from dataclasses import dataclass

from eegfm_lake.errors import UsageError

LOBES = ("frontal", "parietal", "temporal", "occipital", "central")


@dataclass(frozen=True)
class OfficialTable:
    """Electrodes in input order, the lobe code of each, and the order in which the network holds them."""

    electrodes: tuple[str, ...]
    regions: tuple[int, ...]
    order: tuple[int, ...]


def official_table(name: str) -> OfficialTable:
    """Return a published region table.

    Raises
    ------
    UsageError
        For an unknown name; it lists the known ones.
    """
    name = SAME_AS.get(name, name)
    if name not in TABLES:
        raise UsageError(f"unknown region table {name!r}; there are {', '.join(official_tables())}")
    electrodes, codes, order = TABLES[name]
    return OfficialTable(
        tuple(electrodes.split()), tuple(int(code) for code in codes), tuple(int(i) for i in order.split())
    )


def official_tables() -> tuple[str, ...]:
    """Return the names that :func:`official_table` knows."""
    return tuple(sorted({*TABLES, *SAME_AS}))


SAME_AS = {"tusl": "pretrain", "tuev": "tuab"}
TABLES = {
    "pretrain": (
        "FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 FZ CZ PZ",
        "0000441133002222041",
        "0 10 2 16 3 11 1 6 18 7 12 14 15 13 8 9 4 17 5",
    ),
    "bciciv2a": (
        "Fz FC3 FC1 FCZ FC2 FC4 C5 C3 C1 CZ C2 C4 C6 CP3 CP1 CPZ CP2 CP4 P1 PZ P2 POZ",
        "0444444444444444441111",
        "0 18 19 20 21 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
    ),
    "chbmit": (
        "FP1-F7 F7-T7 T7-P7 P7-O1 FP2-F8 F8-T8 T8-P8 P8-O2 FP1-F3 F3-C3 C3-P3 P3-O1 FP2-F4 F4-C4 C4-P4 P4-O2",
        "0021002100410041",
        "1 0 8 9 13 12 4 5 3 11 15 7 2 6 10 14",
    ),
    "faced": (
        "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T7 T8 CP1 CP2 CP5 CP6 Pz P3 P4 P7 P8 PO3 PO4 Oz O1 "
        "O2",
        "000000000004442244441111133333",
        "0 9 7 5 3 2 4 6 8 10 1 23 21 20 22 24 14 15 25 28 27 29 26 18 16 12 11 13 17 19",
    ),
    "hmc": (
        "F4 C4 O2 C3",
        "0434",
        "0 2 1 3",
    ),
    "isruc": (
        "F3 C3 O1 F4 C4 O2",
        "043043",
        "0 3 2 5 1 4",
    ),
    "mumtaz": (
        "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 Fz Cz Pz",
        "0000441133002222041",
        "0 10 2 16 3 11 1 6 18 7 14 12 13 15 8 9 4 17 5",
    ),
    "physionet_ft_frontal": (
        "FC5 FC3 FC1 FCZ FC2 FC4 FC6 C5 C3 C1 CZ C2 C4 C6 CP5 CP3 CP1 CPZ CP2 CP4 CP6 FP1 FPZ FP2 AF7 AF3 AFZ "
        "AF4 AF8 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO3 "
        "POZ PO4 PO8 O1 OZ O2 IZ",
        "0000000444444444444440000000000000000000222222111111111333333333",
        "24 25 26 27 28 21 22 23 29 30 31 32 33 34 35 36 37 38 39 0 1 2 3 4 5 6 46 47 48 49 50 51 52 53 54 40 "
        "41 42 43 44 45 55 56 57 58 59 60 61 62 63 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
    ),
    "seedv": (
        "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 C5 C3 C1 CZ C2 "
        "C4 C6 T8 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 "
        "CB1 O1 OZ O2 CB2",
        "00000000000000244444442244444442244444442111111111111111133333",
        "0 5 6 7 8 9 10 11 12 13 2 1 3 4 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 14 22 23 31 32 40 57 "
        "58 59 60 61 15 16 17 18 19 20 21 24 25 26 27 28 29 30 33 34 35 36 37 38 39",
    ),
    "seedvig": (
        "FT7 FT8 T7 T8 TP7 TP8 CP1 CP2 P1 PZ P2 PO3 POZ PO4 O1 OZ O2",
        "22222244111111333",
        "8 9 10 11 12 13 0 1 2 3 4 5 14 15 16 6 7",
    ),
    "shu": (
        "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T3 T4 CP1 CP2 CP5 CP6 Pz P3 P4 T5 T6 PO3 PO4 Oz O1 "
        "O2",
        "000000000004442244441112233333",
        "0 5 3 9 7 2 8 10 4 6 1 21 20 22 14 23 15 24 25 28 27 29 26 12 18 16 11 17 19 13",
    ),
    "siena": (
        "Fp1 F3 C3 P3 O1 F7 T3 T5 Fc1 Fc5 Cp1 Cp5 F9 Fz Cz Pz Fp2 F4 C4 P4 O2 F8 T4 T6 Fc2 Fc6 Cp2 Cp6 F10",
        "00413022444400410041302244440",
        "0 12 5 1 13 17 21 28 16 3 15 19 6 7 22 23 4 20 11 9 8 2 10 14 26 18 24 25 27",
    ),
    "bcic2020_speech": (
        "Fp1 Fp2 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8 TP9 CP5 CP1 CP2 CP6 TP10 P7 P3 Pz P4 P8 PO9 O1 "
        "Oz O2 PO10 AF7 AF3 AF4 AF8 F5 F1 F2 F6 FT9 FT7 FC3 FC4 FT8 FT10 C5 C1 C2 C6 TP7 CP3 CPz CP4 TP8 P5 "
        "P1 P2 P6 PO7 PO3 POz PO4 PO8",
        "0000000000024442244442111113333300000000000000444424442111133333",
        "40 41 0 32 33 2 36 3 7 42 8 37 4 38 9 43 10 5 39 6 34 35 1 44 45 22 55 23 56 24 57 25 58 26 16 50 11 "
        "15 54 21 27 59 60 28 29 61 30 62 63 31 46 12 47 17 51 18 13 52 19 53 20 48 14 49",
    ),
    "mental_arithmetic": (
        "FP1 FP2 F3 F4 F7 F8 T3 T4 C3 C4 T5 T6 P3 P4 O1 O2 FZ CZ PZ",
        "0000002244221133041",
        "0 4 2 16 3 5 1 12 18 13 10 6 7 11 14 15 8 17 9",
    ),
    "tuab": (
        "FP1 F7 T3 T5 FP2 F8 T4 T6 FP1 F3 C3 P3 FP2 F4 C4 P4",
        "0022002200410041",
        "0 8 9 1 13 5 4 12 11 15 2 3 7 6 10 14",
    ),
    "physionet_ft_temporal": (
        "FC5 FC3 FC1 FCZ FC2 FC4 FC6 C5 C3 C1 CZ C2 C4 C6 CP5 CP3 CP1 CPZ CP2 CP4 CP6 FP1 FPZ FP2 AF7 AF3 AFZ "
        "AF4 AF8 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO3 "
        "POZ PO4 PO8 O1 OZ O2 IZ",
        "0000000444444444444440000000000000000022222222111111111333333333",
        "24 25 26 27 28 21 22 23 29 30 31 32 33 34 35 36 37 0 1 2 3 4 5 6 46 47 48 49 50 51 52 53 54 40 41 42 "
        "43 44 45 38 39 55 56 57 58 59 60 61 62 63 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
    ),
}
