"""From electrode positions to places on a round head seen from above (numpy only)."""

from functools import cache

import numpy as np

from eegfm_lake import electrodes


def project(positions_C3: np.ndarray) -> np.ndarray:
    """Azimuthal equidistant projection: the angle from the vertex becomes the distance from the centre.

    Parameters
    ----------
    positions_C3 : np.ndarray
        Metres in MNE's head frame, shape (C, 3); NaN where unknown.

    Returns
    -------
    np.ndarray
        Shape (C, 2): x to the right ear, y to the nose; 1 is the circle through Fpz, T7, Oz, T8. NaN stays.
    """
    centre_3, axes_33 = _head()
    offsets_C3 = (np.asarray(positions_C3, dtype=float).reshape(-1, 3) - centre_3) @ axes_33.T
    radius_C = np.linalg.norm(offsets_C3, axis=1)
    from_vertex_C = np.arccos(np.clip(offsets_C3[:, 2] / radius_C, -1, 1)) / (np.pi / 2)
    azimuth_C = np.arctan2(offsets_C3[:, 1], offsets_C3[:, 0])
    return np.stack([from_vertex_C * np.cos(azimuth_C), from_vertex_C * np.sin(azimuth_C)], axis=1)


@cache
def _head() -> tuple[np.ndarray, np.ndarray]:
    """Centre and axes (right, front, up) of the template's equator, which is tilted in MNE's head frame."""
    front, back, left, right = (np.array(electrodes.position(name)) for name in ("Fpz", "Oz", "T7", "T8"))
    x = (right - left) / np.linalg.norm(right - left)
    y = front - back - (front - back) @ x * x
    y /= np.linalg.norm(y)
    return (front + back + left + right) / 4, np.stack([x, y, np.cross(x, y)])
