"""What a point is called at a server of time series: measurement = quantity, tags kind and subject.

``station/S01/secondary_supply_temp_c`` is the measurement ``secondary_supply_temp_c`` with kind=station, subject=S01. Characters that
one of the servers' languages can't say are written as in an address (%22 for a double quote), in names of points never seen so far.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.quantity import PointName, parse_point

AT_ONCE = 200  # subjects asked for in one query
_AWKWARD = re.compile(r"[%\\#^\"'\x00-\x1f\x7f]")
_NAMELESS = "unnamed"


@dataclass(frozen=True)
class Group:
    """Points that one query asks for: each of these quantities of each of these subjects, or of all subjects where none is named."""

    kind: str
    quantities: tuple[str, ...]
    subjects: tuple[str, ...]


class SeriesNames:
    """The names at the server of the points of one registry; ``name`` gives the registry's name of an id."""

    def __init__(self, name: Callable[[int], str]) -> None:
        self._name = name
        self._parts: dict[int, PointName] = {}

    def of(self, point: int) -> PointName:
        """The point's name as the server writes it, in parts. Raises KeyError for an id that was never given."""
        found = self._parts.get(point)
        if found is None:
            found = self._parts[point] = _served(self._name(point))
        return found

    def ids(self, points: NDArray[np.int32]) -> dict[PointName, int]:
        """The id of each of these points by its name at the server."""
        return {self.of(point): point for point in points.tolist()}

    def groups(self, points: NDArray[np.int32], *, whole_above: int | None = None) -> Iterator[Group]:
        """Few queries that together ask for these points; for all subjects at once where more than ``whole_above`` are asked for."""
        quantities: dict[tuple[str, str], list[str]] = {}
        for point in points.tolist():
            name = self.of(point)
            quantities.setdefault((name.kind, name.subject_id), []).append(name.quantity)
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for (kind, subject), names in quantities.items():
            alike.setdefault((kind, tuple(sorted(names))), []).append(subject)
        for (kind, wanted), subjects in alike.items():
            if whole_above is not None and len(subjects) > whole_above:
                yield Group(kind, wanted, ())
                continue
            for at in range(0, len(subjects), AT_ONCE):
                yield Group(kind, wanted, tuple(subjects[at : at + AT_ONCE]))


def line_head(name: PointName, more: str = "") -> str:
    """The begin of a line of line protocol, up to the fields; ``more`` are further tags (``,revision=1``)."""
    measurement = name.quantity.replace(",", "\\,").replace(" ", "\\ ")
    return f"{measurement},kind={_tag(name.kind)},subject={_tag(name.subject_id)}{more} "


def name_of_tags(measurement: str, tags: str) -> PointName | None:
    """The point that InfluxDB means by a measurement and ``kind=…,subject=…`` (escaped as in line protocol); None for others' series."""
    found = dict(part.split("=", 1) for part in re.split(r"(?<!\\),", tags.replace("\\=", "\0")) if "=" in part)
    if found.keys() != {"kind", "subject"}:
        return None
    return PointName(_plain(found["kind"]), _plain(found["subject"]), measurement)


def one_of(words: Iterable[str]) -> str:
    """A regular expression (RE2) for exactly these words, without any backslash."""
    return "|".join(re.sub(r"[.+*?()|\[\]{}$]", lambda match: f"[{match.group()}]", word) for word in words)


def _served(name: str) -> PointName:
    try:
        parts = parse_point(name)
    except ValueError:
        parts = PointName(_NAMELESS, name, _NAMELESS)
    return PointName(*(_AWKWARD.sub(lambda match: f"%{ord(match.group()):02X}", part) for part in parts))


def _tag(text: str) -> str:
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _plain(text: str) -> str:
    return text.replace("\0", "=").replace("\\,", ",").replace("\\ ", " ")
