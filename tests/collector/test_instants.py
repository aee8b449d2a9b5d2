from zoneinfo import ZoneInfo

import pytest

from collector.instants import TimeFormat, parse_instant, plausible, plausible_history

SHANGHAI = ZoneInfo("Asia/Shanghai")
AT = 1_796_083_200_123  # 2026-12-01 00:00:00.123 UTC


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2026-12-01T00:00:00.123Z", "iso", AT),
        ("2026-12-01T08:00:00.123456789+08:00", "iso", AT),
        ("2026-12-01T08:00:00.123", "iso_local", AT),
        ("2026-12-01T08:00:00.123", "iso", None),
        (1_796_083_200, "epoch_s", AT - 123),
        ("1796083200", "epoch_s", AT - 123),
        (AT, "epoch_ms", AT),
        (AT, "iso", AT),
        (1_796_083_200, "iso", AT - 123),
        (1_796_083_200.5, "iso_local", AT - 123 + 500),
        ("yesterday", "iso", None),
        (None, "iso", None),
        (True, "epoch_s", None),
        ("nan", "epoch_s", None),
        (1e300, "epoch_ms", None),
        ({}, "iso", None),
    ],
)
def test_times_as_payloads_write_them(text: object, form: TimeFormat, expected: int | None) -> None:
    assert parse_instant(text, form, SHANGHAI) == expected


def test_a_device_time_stands_within_ten_minutes_of_receipt() -> None:
    assert plausible(AT - 600_000, AT)
    assert plausible(AT + 600_000, AT)
    assert not plausible(AT - 600_001, AT)
    assert not plausible(AT + 600_001, AT)


def test_history_may_be_old_but_neither_from_1970_nor_from_the_future() -> None:
    assert plausible_history(AT - 90 * 86_400_000, AT)
    assert not plausible_history(3_600_000, AT)
    assert not plausible_history(AT + 600_001, AT)
