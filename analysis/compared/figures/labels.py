"""Names beside points, where they touch nothing; a name without such a place shows on hover."""

from collections.abc import Iterable

import numpy as np
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.transforms import Bbox

DISTANCES = (4, 8, 13, 19, 26)  # points
# Where a name lies from its point, the better ones first.
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
MARK = 4.5  # points: half of a marker and of the room around it
LEADING = 1.15  # lines of browsers are so much higher than ours
ALIGNED = {-1: ("right", "top"), 0: ("center", "center"), 1: ("left", "bottom")}


def beside(ax, names: Iterable[tuple[float, float, str, str]], size: float = 9) -> None:
    """Write names beside points, each x, y, name and colour, the most wanted first."""
    figure = ax.figure
    figure.get_layout_engine().execute(figure)  # only then is it known where things are
    point = figure.dpi / 72
    inside, taken = ax.get_window_extent(), [text.get_window_extent() for text in ax.texts]
    marks = _marks(ax, point)
    for x, y, name, colour in names:
        text = ax.annotate(name, (x, y), (0, 0), textcoords="offset points", fontsize=size,
                           color=colour, parse_math=False, in_layout=False)  # fmt: skip
        extent = text.get_window_extent()
        at = ax.transData.transform([float(ax.convert_xunits(x)), float(ax.convert_yunits(y))])
        for offset, box in _places(at, extent.width, LEADING * extent.height, point):
            free = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
            if free and not box.count_overlaps(taken) and not _within(box, marks).any():
                text.set_position(offset)
                text.set(ha=ALIGNED[np.sign(offset[0])][0], va=ALIGNED[np.sign(offset[1])][1])
                taken.append(box)
                break
        else:
            text.remove()


def _places(at: np.ndarray, width: float, height: float, point: float):
    """(offset in points, box in pixels) of each place, the nearest first."""
    for distance in DISTANCES:
        for side in SIDES:
            diagonal = 0.75 if all(side) else 1
            offset = [each * distance * diagonal for each in side]
            corner = at + point * np.array(offset)
            corner += [width * (side[0] - 1) / 2, height * (side[1] - 1) / 2]
            yield offset, Bbox.from_bounds(*corner, width, height)


def _within(box: Bbox, marks: np.ndarray) -> np.ndarray:
    """Which of the boxes x0, y0, x1, y1 in the rows of `marks` share a place with `box`."""
    low = np.maximum(marks[:, :2], box.min)
    high = np.minimum(marks[:, 2:], box.max)
    return (low < high).all(axis=1)


def _marks(ax, point: float) -> np.ndarray:
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
