"""Compiles the rules' kernels once, at set-up, so that no later command waits for it."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from compliance.verdict import clean_series, judge, room_rules
from domain.policy import Policy, PolicyVersion, Window
from domain.reading import Readings
from domain.site import Room


def warm() -> None:
    """Judges one reading of one room, which compiles and caches every kernel."""
    windows = (Window(0, 86_400, 18.0),)
    policy = Policy("warm", (PolicyVersion(date(2000, 1, 1), None, {"residential": windows}),), "")
    rooms = [Room("R")]
    rules = room_rules(rooms, [], policy, ZoneInfo("UTC"), np.array([1_800_000]), 0, 3_600_000)
    series = clean_series(np.zeros(1, np.int32), Readings.of([0], [0], [17.0]), np.zeros(1))
    judge(series, rules, np.array([0, 3_600_000]))


if __name__ == "__main__":
    warm()
