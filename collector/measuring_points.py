"""Which point a sensor's value is of: the sensor stands in a room, or an edge box names one of our points itself."""

from collections.abc import Collection, Mapping

from collector.payload import Value
from domain.quantity import parse_point
from domain.site import Site


class MeasuringPoints:
    """The sensors of a site's rooms, and the subjects whose points may be named. No point's name is kept: a town's fill the memory."""

    def __init__(self, site: Site) -> None:
        self._rooms = {room.sensor_id.casefold(): room.room_id for room in site.rooms.values() if room.sensor_id}
        self._elsewhere = site.elsewhere
        self._subjects: Mapping[str, Collection[str]] = {"room": site.rooms, "station": site.stations}

    def name_of(self, value: Value) -> str:
        """The name of a value's point, empty for a sensor that stands in no room."""
        if value.quantity:
            room_id = self._rooms.get(value.sensor) or self._rooms.get(value.sensor.casefold())
            return f"room/{room_id}/{value.quantity}" if room_id is not None else ""
        kind, subject_id, _ = parse_point(value.sensor)
        return value.sensor if subject_id in self._subjects.get(kind, ()) else ""

    def elsewhere(self, value: Value) -> bool:
        """Whether another node of the site takes what this sensor (or, without a quantity, this point) says."""
        return bool(self._elsewhere) and (value.sensor.casefold() if value.quantity else value.sensor.rpartition("/")[0]) in self._elsewhere
