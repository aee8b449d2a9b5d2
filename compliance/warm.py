"""Compiles the rules' kernels once, at set-up, so that no later command waits for it."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from compliance.late_rooms import last_normal
from compliance.room_alarm import fold_alarms, fresh_states
from compliance.room_book import RoomBook
from compliance.series import clean_series
from compliance.verdict import judge, room_rules
from domain.policy import Policy, PolicyVersion, Window
from domain.reading import Readings
from domain.site import Room

HOUR_MS = 3_600_000


def warm() -> None:
    """Judges one reading of one room in every way there is, which compiles and caches every kernel."""
    windows = (Window(0, 86_400, 18.0),)
    policy = Policy("warm", (PolicyVersion(date(2000, 1, 1), None, {"residential": windows}),), "")
    rooms = [Room("R")]
    hold_ms = np.array([HOUR_MS // 2])
    zone = ZoneInfo("UTC")
    rules = room_rules(rooms, [], policy, zone, hold_ms, 0, HOUR_MS)
    reading = Readings.of([0], [0], [17.0])
    row = np.zeros(1, np.int64)
    series = clean_series(row, reading, np.zeros(1))
    judge(series, rules, np.array([0, HOUR_MS]))
    fold_alarms(series, rules, fresh_states(1), 0, HOUR_MS)
    book = RoomBook(rooms, [], policy, zone, hold_ms, 0)
    book.advance(row, reading, HOUR_MS)
    book.settle(HOUR_MS)
    book.limits_c(HOUR_MS)
    last_normal(series, rules, row, row + HOUR_MS)


if __name__ == "__main__":
    warm()
