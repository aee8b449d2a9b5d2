"""``map.geojson`` of a site's folder: lines and areas behind the stations on the map (RFC 7946), such as streets, rivers, districts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from domain.errors import Mistake
from domain.site import Outline

MAP_FILE: Final = "map.geojson"
BYTES_MOST: Final = 2 * 1024 * 1024
NESTED: Final = {"LineString": 0, "MultiPoint": 0, "Polygon": 1, "MultiLineString": 1, "MultiPolygon": 2}
SHAPES: Final = ", ".join(sorted({*NESTED, "Point", "GeometryCollection"}))
NESTED_MOST: Final = 20  # of collections in collections


def read_outlines(folder: Path, mistakes: list[Mistake]) -> tuple[Outline, ...]:
    """The map's background; empty where the site has no such file, or (noted) one with mistakes."""
    path = folder / MAP_FILE
    if not path.exists():
        return ()
    size = path.stat().st_size
    if size > BYTES_MOST:
        mistakes.append(Mistake(MAP_FILE, f"at most {BYTES_MOST:,} bytes: simplify it, a wall shows no more", value=f"{size:,} bytes"))
        return ()
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        mistakes.append(Mistake(MAP_FILE, f"GeoJSON is UTF-8; byte {error.start} is not"))
        return ()
    except json.JSONDecodeError as error:
        mistakes.append(Mistake(MAP_FILE, f"no JSON: {error.msg.lower()}", line=error.lineno))
        return ()
    except RecursionError:
        mistakes.append(Mistake(MAP_FILE, "nested too deep for a map"))
        return ()
    try:
        return tuple(_outlines(document, "", 0))
    except _WrongError as wrong:
        mistakes.append(Mistake(MAP_FILE, wrong.remedy, key=wrong.key or None, value=wrong.value))
        return ()


class _WrongError(Exception):
    """What is wrong where in the document."""

    def __init__(self, key: str, value: object, remedy: str) -> None:
        super().__init__(remedy)
        self.key, self.value, self.remedy = key, None if value is None else str(value)[:60], remedy


def _outlines(part: Any, key: str, depth: int) -> Iterator[Outline]:
    """The lines of a GeoJSON object, in its order; points draw nothing."""
    kind = part.get("type") if isinstance(part, dict) else None
    if depth > NESTED_MOST:
        raise _WrongError(key, None, "nested too deep for a map")
    if kind == "FeatureCollection":
        yield from _members(part, "features", key, depth)
    elif kind == "GeometryCollection":
        yield from _members(part, "geometries", key, depth)
    elif kind == "Feature":
        if part.get("geometry") is not None:
            yield from _outlines(part["geometry"], _join(key, "geometry"), depth + 1)
    elif kind in NESTED:
        for line in _lines(part.get("coordinates"), NESTED[kind], _join(key, "coordinates")):
            if kind != "MultiPoint":
                yield Outline(line[:, 1], line[:, 0], closed="Polygon" in kind)
    elif kind != "Point":
        raise _WrongError(_join(key, "type"), kind, f"one of FeatureCollection, Feature, {SHAPES}")


def _members(part: dict[str, Any], name: str, key: str, depth: int) -> Iterator[Outline]:
    members = part.get(name)
    if not isinstance(members, list):
        raise _WrongError(_join(key, name), None, "a list is needed")
    for number, member in enumerate(members):
        yield from _outlines(member, f"{_join(key, name)}[{number}]", depth + 1)


def _lines(coordinates: Any, nested: int, key: str) -> "Iterator[np.ndarray[tuple[int, int], np.dtype[np.float64]]]":
    if not isinstance(coordinates, list):
        raise _WrongError(key, None, "a list of positions is needed")
    if nested:
        for number, one in enumerate(coordinates):
            yield from _lines(one, nested - 1, f"{key}[{number}]")
        return
    for number, position in enumerate(coordinates):
        if not (isinstance(position, list) and len(position) >= 2 and all(_is_number(one) for one in position[:2])):
            raise _WrongError(f"{key}[{number}]", position, "a position is [longitude, latitude]")
        if not (-180 <= position[0] <= 180 and -90 <= position[1] <= 90):
            raise _WrongError(f"{key}[{number}]", position, "longitude −180 to 180, then latitude −90 to 90, in degrees (WGS 84)")
    if coordinates:
        yield np.array([position[:2] for position in coordinates], np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
