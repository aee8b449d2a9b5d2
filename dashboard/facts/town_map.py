"""The map of the stations, as SVG: nothing of it comes from the internet.

stations' lat, lon ─┐
                    ├─▶ a box of 1000 units ─▶ crowds (one path a state)  +  single marks of those that need somebody
map.geojson ────────┘
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.facts.stations import COMMS, HEATS, StationStates
from dashboard.facts.town import Town
from domain.site import Outline, Site, Station

WIDTH: Final = 1000
LOWEST, HIGHEST = 450, 1100
MARGIN: Final = 40
SINGLE_MOST: Final = 120  # marks with a name and a link of their own; the others of a state are one path
NAMED_MOST: Final = 14
LETTER: Final = 34  # units: the height of a name, and the width of a Chinese character; others are half as wide
BESIDE: Final = 22  # from a mark's middle to its name
OUTLINE_POINTS: Final = 2_000  # of the background, whatever its file holds: 20 kB at most


@dataclass(frozen=True)
class Frame:
    """Where the town lies: ``lat``, ``lon`` of its upper left corner, degrees a unit, height of the box."""

    lat: float
    lon: float
    lat_per_unit: float
    lon_per_unit: float
    height: int

    def place(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int64]:
        """Points of the box, one in a row: x to the right, y downward."""
        x, y = (lon - self.lon) / self.lon_per_unit, (self.lat - lat) / self.lat_per_unit
        return np.rint(np.stack([x, y], axis=1)).astype(np.int64)


@dataclass(frozen=True)
class MapMark:
    """One station on the map. ``mark`` is supplying, stopped, planned, unknown or unjudged; ``lost`` while its link is.

    ``label`` is the side of the mark on which its name stands, right or left; empty where there is no room for it.
    """

    station: Station
    x: int
    y: int
    mark: str
    lost: bool
    label: str


@dataclass(frozen=True)
class TownMap:
    """The map: its height, the background's path, the crowds (mark → path of dots), single marks with the worst last."""

    height: int
    background: str
    crowds: Mapping[str, str]
    marks: Sequence[MapMark]
    without_place: int


Ground = tuple[Frame, str, NDArray[np.intp], NDArray[np.int64]]


def town_map(town: Town, states: StationStates) -> TownMap | None:
    """The map as the stations stand now; None where the site has no coordinates."""
    found = ground_of(town)
    if found is None:
        return None
    rows = found[2]
    marks = marks_of(states)[rows]
    order = states.order
    ranks = np.empty(len(order), np.intp)
    ranks[order] = np.arange(len(order))
    ranks = ranks[rows]
    lost = (states.comm == COMMS.index("lost"))[rows]
    quiet = (marks == "supplying") & ~lost
    few = len(rows) <= SINGLE_MOST
    single = np.argsort(ranks)[:SINGLE_MOST]
    single = single if few else single[~quiet[single]]
    drawn = (single.tobytes(), marks.tobytes(), lost.tobytes())
    return town.shared.of("map_drawn", lambda: _drawn(town, found, states, single, marks, lost), life_s=math.inf, mark=drawn)


def _drawn(
    town: Town, found: Ground, states: StationStates, single: NDArray[np.intp], marks: NDArray[np.str_], lost: NDArray[np.bool_]
) -> TownMap:
    """The map anew: other marks than before, other links lost, or others to be named."""
    site = town.site
    frame, background, rows, places = found
    quiet = (marks == "supplying") & ~lost
    few = len(rows) <= SINGLE_MOST
    crowd = np.ones(len(rows), bool)
    crowd[single] = False
    crowds = {name: path for name in MARKS if (path := _crowd(town, name, places, crowd & (marks == name)))}
    named = [int(row) for row in single[:NAMED_MOST] if few or not quiet[row]]
    names = [called(site.stations[states.ids[int(rows[row])]]) for row in named]
    labels = dict(zip(named, labels_of(places, named, names, few=few), strict=True))
    found_marks = [
        MapMark(
            site.stations[states.ids[int(rows[row])]],
            int(places[row][0]), int(places[row][1]), str(marks[row]), bool(lost[row]), labels.get(int(row), ""),
        )
        for row in single[::-1]
    ]  # fmt: skip
    return TownMap(frame.height, background, crowds, found_marks, len(states) - len(rows))


def _crowd(town: Town, name: str, places: NDArray[np.int64], here: NDArray[np.bool_]) -> str:
    """The dots of one state, drawn anew only when it is that of other stations."""
    return town.shared.of(("crowd", name), lambda: dots(places[here]) if here.any() else "", life_s=math.inf, mark=here.tobytes())


def called(station: Station) -> str:
    """What people call a station."""
    return station.name or station.station_id


def labels_of(places: NDArray[np.int64], named: Sequence[int], names: Sequence[str], *, few: bool) -> list[str]:
    """The side on which each name stands, the first ones first: right, left, or "" where it would cover another name or a mark.

    Of many stations the marks are a crowd that a name may cover: only names keep off each other.
    """
    taken = [(x - BESIDE // 2, y - BESIDE // 2, x + BESIDE // 2, y + BESIDE // 2) for x, y in places.tolist()] if few else []
    sides = []
    for row, name in zip(named, names, strict=True):
        x, y = places[row].tolist()
        wide = round(sum(LETTER if ord(letter) > 0x2E7F else LETTER * 0.55 for letter in name))
        boxes = {
            "right": (x + BESIDE, y - LETTER // 2, x + BESIDE + wide, y + LETTER // 2),
            "left": (x - BESIDE - wide, y - LETTER // 2, x - BESIDE, y + LETTER // 2),
        }
        free = (side for side, box in boxes.items() if box[0] >= 0 and box[2] <= WIDTH and not any(_meet(box, other) for other in taken))
        side = next(free, "")
        sides.append(side)
        if side:
            taken.append(boxes[side])
    return sides


def _meet(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


MARKS: Final = ("supplying", "unjudged", "planned", "unknown", "stopped")


def marks_of(states: StationStates) -> NDArray[np.str_]:
    """What each station's mark on the map is."""
    marks = np.array(HEATS)[states.heat]
    return np.where((marks == "stopped") & states.planned, "planned", marks)


def ground_of(town: Town) -> Ground | None:
    """The ground of this town's map; None where the site has no coordinates."""
    return town.shared.of("map_ground", lambda: ground(town.site), life_s=math.inf)


def ground(site: Site) -> Ground | None:
    """What of the map does not change: its frame, its background, and which stations stand where."""
    placed = [(row, one.lat, one.lon) for row, one in enumerate(site.stations.values()) if one.lat is not None and one.lon is not None]
    if not placed:
        return None
    rows, lat, lon = (np.array(column) for column in zip(*placed, strict=True))
    frame = frame_of(lat, lon)
    return frame, background_of(site.outlines, frame), rows.astype(np.intp), frame.place(lat, lon)


def frame_of(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> Frame:
    """The box that holds these points with a margin: degrees of longitude are shorter the further north (plate carrée at the middle)."""
    middle = math.cos(math.radians(float(lat.max() + lat.min()) / 2))
    wide = max(float(np.ptp(lon)) * middle, float(np.ptp(lat)) * 0.6, 0.004)
    lat_per_unit = wide / (WIDTH - 2 * MARGIN)
    high = float(np.ptp(lat)) / lat_per_unit + 2 * MARGIN
    height = round(min(HIGHEST, max(LOWEST, high)))
    scale = max(1.0, high / HIGHEST)
    lat_per_unit *= scale
    lon_per_unit = lat_per_unit / max(0.05, middle)
    top = float(lat.max() + lat.min()) / 2 + height / 2 * lat_per_unit
    left = float(lon.max() + lon.min()) / 2 - WIDTH / 2 * lon_per_unit
    return Frame(top, left, lat_per_unit, lon_per_unit, height)


def dots(places: NDArray[np.int64]) -> str:
    """A path whose round caps are dots: one of them costs about seven bytes, as each is told from the one before."""
    steps = np.diff(np.unique(places, axis=0), axis=0, prepend=0)
    return "M0 0" + "".join(f"m{x} {y}h0" for x, y in steps.tolist())


def background_of(outlines: Sequence[Outline], frame: Frame) -> str:
    """The outlines as one path, without what a screen can't show, and nothing outside the box."""
    lines = [(frame.place(one.lat, one.lon), one.closed) for one in outlines]
    lines = [(line, closed) for line, closed in lines if _is_inside(line, frame)]
    drawn = lines
    for step in (2, 4, 8, 16, 32):
        drawn = [(thinned(line, step), closed) for line, closed in lines]
        if sum(len(line) for line, _ in drawn) <= OUTLINE_POINTS:
            break
    ends = np.cumsum([len(line) for line, _ in drawn]).tolist()
    shown = [one for one, end in zip(drawn, ends, strict=True) if end <= OUTLINE_POINTS]  # of far too much detail the first lines
    return "".join(f"M{'L'.join(f'{x} {y}' for x, y in line.tolist())}{'Z' * closed}" for line, closed in shown if len(line) > 1)


def _is_inside(line: NDArray[np.int64], frame: Frame) -> bool:
    low, high = line.min(axis=0), line.max(axis=0)
    return bool(high[0] >= 0 and high[1] >= 0 and low[0] <= WIDTH and low[1] <= frame.height)


def thinned(line: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """A line without points that share a square of ``step`` units with the one before; its end stays."""
    cells = line // step
    kept = np.r_[True, np.any(np.diff(cells, axis=0) != 0, axis=1)]
    kept[-1] = True
    return line[kept]
