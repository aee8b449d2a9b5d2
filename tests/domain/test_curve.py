"""Supply curves: targets, offsets by time of day, what can be filed."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from domain.curve import FiledCurve, curve_faults, offset_edges, textbook_curve_c

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_768_320_000_000  # 2026-01-14 00:00 +08:00
OFFSETS = tuple(float(number) for number in range(12))


def test_between_the_points_straight_beyond_them_level() -> None:
    curve = FiledCurve("S1", 0, (-20.0, 0.0), (70.0, 46.0))
    assert curve.target_c(np.array([-30.0, -20.0, -10.0, 0.0, 9.0])).tolist() == [70.0, 70.0, 58.0, 46.0, 46.0]
    assert curve.offset_k(np.array([MIDNIGHT_MS]), SHANGHAI).tolist() == [0.0]


def test_an_offset_holds_for_two_local_hours() -> None:
    curve = FiledCurve("S1", 0, (-20.0, 0.0), (70.0, 46.0), offsets_k=OFFSETS)
    at = MIDNIGHT_MS + np.array([-1, 0, 2 * HOUR_MS - 1, 2 * HOUR_MS, 23 * HOUR_MS, 24 * HOUR_MS])
    assert curve.offset_k(at, SHANGHAI).tolist() == [11.0, 0.0, 0.0, 1.0, 11.0, 0.0]
    assert curve.offset_k(np.empty(0, np.int64), SHANGHAI).tolist() == []


def test_edges_follow_the_local_clock_through_its_changes() -> None:
    day = 1_774_738_800_000  # 2026-03-29 00:00 +01:00, a day of 23 hours
    edges = offset_edges(day, day + 23 * HOUR_MS, BERLIN)
    assert ((edges - day) // HOUR_MS).tolist() == [0, 2, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21]
    long = 1_792_879_200_000  # 2026-10-25 00:00 +02:00, a day of 25 hours
    assert ((offset_edges(long, long + 25 * HOUR_MS, BERLIN) - long) // HOUR_MS).tolist() == [0, 2, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]
    inside = offset_edges(MIDNIGHT_MS + 5, MIDNIGHT_MS + 6, SHANGHAI)
    assert inside.tolist() == [MIDNIGHT_MS]


@pytest.mark.parametrize(
    ("outdoor_c", "supply_c", "offsets_k", "fault"),
    [
        ((-20.0,), (70.0,), (), "2 to 12 points"),
        (tuple(float(n) for n in range(13)), (60.0,) * 13, (), "2 to 12 points"),
        ((-20.0, -20.0), (70.0, 60.0), (), "rise strictly"),
        ((-20.0, 0.0), (46.0, 70.0), (), "must not rise"),
        ((-20.0, 0.0), (70.0, 46.0), (1.0, 2.0), "twelve"),
        ((-20.0, 0.0), (70.0, 46.0), (25.0,) * 12, "at most 20 K"),
    ],
)
def test_what_is_no_curve(outdoor_c: tuple[float, ...], supply_c: tuple[float, ...], offsets_k: tuple[float, ...], fault: str) -> None:
    (found,) = curve_faults(outdoor_c, supply_c, offsets_k)
    assert fault in found


def test_what_can_be_filed() -> None:
    assert curve_faults((-20.0, 0.0), (70.0, 70.0)) == []
    assert curve_faults((-20.0, -10.0, 0.0), (70.0, 60.0, 46.0), OFFSETS) == []


def test_the_formulas_of_quality_regulation() -> None:
    """domain.md, 75/50, 18 °C: tw' −24: 46.5/35.8, 58.9/42.2, 70.5/47.9 at 0, −10, −20; tw' −7: 61.6/43.6, 71.2/48.2 at 0, −5."""
    supply_c, return_c = textbook_curve_c(np.array([0.0, -10.0, -20.0]), design_outdoor_c=-24.0)
    assert supply_c == pytest.approx([46.5, 58.9, 70.5], abs=0.06)
    assert return_c == pytest.approx([35.8, 42.2, 47.9], abs=0.06)
    supply_c, return_c = textbook_curve_c(np.array([0.0, -5.0]), design_outdoor_c=-7.0)
    assert supply_c == pytest.approx([61.6, 71.2], abs=0.06)
    assert return_c == pytest.approx([43.6, 48.2], abs=0.06)
    assert textbook_curve_c(np.array([25.0]), design_outdoor_c=-24.0)[0][0] == pytest.approx(18.0)


def test_gains_of_people_and_sun_act_like_a_milder_day() -> None:
    mild = textbook_curve_c(np.array([-7.0, 16.0]), design_outdoor_c=-24.0)
    gained = textbook_curve_c(np.array([-10.0, 13.0]), design_outdoor_c=-24.0, gains_k=3.0)
    assert np.array(gained) == pytest.approx(np.array(mild))
    assert textbook_curve_c(np.array([16.0]), design_outdoor_c=-24.0, gains_k=3.0)[0][0] == pytest.approx(18.0)
