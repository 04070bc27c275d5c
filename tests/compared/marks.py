"""Where markers and lines of a figure are, found apart from what places names beside them."""

import numpy as np
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.transforms import Bbox

MARK = 4.5  # points: half of a marker and of the room around it


def within(box: Bbox, marks: np.ndarray) -> np.ndarray:
    """Which of the boxes x0, y0, x1, y1 in the rows of `marks` share a place with `box`."""
    low = np.maximum(marks[:, :2], box.min)
    high = np.minimum(marks[:, 2:], box.max)
    return (low < high).all(axis=1)


def marks_of(ax, point: float) -> np.ndarray:
    """The boxes, in pixels, of markers and of short pieces of lines."""
    found = [np.empty((0, 4))]
    for artist in [*ax.lines, *ax.collections]:
        if isinstance(artist, PathCollection):
            at, room = ax.transData.transform(artist.get_offsets().data), MARK
            found.append(np.hstack([at - room * point, at + room * point]))
            continue
        if isinstance(artist, PolyCollection):  # a band: names may lie on it
            continue
        if isinstance(artist, LineCollection):
            paths = artist.get_segments()
        else:
            paths = [np.column_stack([ax.convert_xunits(artist.get_xdata(orig=False)),
                                      artist.get_ydata(orig=False)])]  # fmt: skip
            if artist.get_marker() not in ("", "None", None):
                at = artist.get_transform().transform(paths[0])
                found.append(np.hstack([at - MARK * point, at + MARK * point]))
        for path in paths:
            at = artist.get_transform().transform(np.asarray(path, float))
            for start, end in zip(at[:-1], at[1:], strict=True):
                if not np.isfinite([start, end]).all():
                    continue
                piece = np.linspace(start, end, min(500, int(np.hypot(*(end - start)) / 2) + 2))
                found.append(np.hstack([piece - 1.5 * point, piece + 1.5 * point]))
    return np.vstack(found)
