"""Policy files and the deadlines they name: what is read from them, and every mistake by file, line, key, value and remedy."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain.deadlines import DUTIES, Within
from domain.errors import ConfigError
from store.site_folder import load_policy, load_site
from store.site_folder.policies import shipped_policies
from tests.store.site_cases import cases

HEAD = 'name = "law"\n[[version]]\nvalid_from = 2020-01-01\n'
WHOLE_DAY = 'season = "always"\n[version.schedule.residential]\n"00:00-24:00" = 18.0\n'
ZONE = ZoneInfo("Asia/Shanghai")
# R7's table, by profile: what is owed within which time.
R7 = {
    "low_temperature_on_site": ("30 min", "2 h", None),
    "low_temperature_contact": (None, "30 min", "1 h"),
    "low_temperature_cured": ("48 h", "24 h", None),
    "leak_contact": (None, None, "15 min"),
    "leak_on_site": ("30 min", "30 min", "40 min"),
    "burst_repaired": (None, "24 h", "6 h"),
    "burst_repaired_major": (None, None, "20 h"),
    "heat_stopped_on_site": (None, None, "1 h"),
    "heat_stopped_answered": (None, None, "3 h"),
    "slip_handed_over": ("10 min", None, None),
    "opinion_answered": (None, "1 h", "1 h"),
    "complaint_verified": ("2 d", "5 working days", "1 h"),
    "slip_filed": ("5 d", None, None),
    "call_back_complaint": ("3 d", "48 h", None),
    "call_back_repair": ("7 d", "48 h", None),
    "water_loss_handled": ("6 h", "6 h", "6 h"),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "law.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("file", "content", "expected"), cases("policy_mistakes.txt"))
def test_mistakes(tmp_path: Path, file: str, content: str, expected: list[str]) -> None:
    path = tmp_path / file
    path.write_text(HEAD + content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_policy(path, file)
    assert [str(mistake) for mistake in caught.value.mistakes] == expected


def test_the_shipped_policies_are_sound_and_their_names_are_those_of_their_files() -> None:
    assert [load_policy(name).name for name in shipped_policies()] == shipped_policies()


@pytest.mark.parametrize(("column", "policy"), [(0, "default"), (1, "profile-b"), (2, "profile-c")])
def test_the_deadlines_of_r7(column: int, policy: str) -> None:
    table = load_policy(policy).deadlines_at(date(2026, 1, 14))
    assert table is not None
    assert {duty: None if (within := table.within(duty)) is None else str(within) for duty in DUTIES} == {
        duty: times[column] for duty, times in R7.items()
    }


def test_a_sites_own_table_of_deadlines_overrides_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    (tmp_path / "deadlines").mkdir()
    (tmp_path / "deadlines" / "A.toml").write_text(
        'name = "A"\n[[duty]]\nduty = "leak_on_site"\nstarts = "reported"\ntarget = "on_site"\nwithin = "20 min"\n'
    )
    table = load_site(tmp_path).policy.deadlines_at(date(2026, 1, 14))
    assert table is not None
    assert {duty: str(one.within) for duty, one in table.duties.items()} == {"leak_on_site": "20 min"}


def test_mistakes_in_a_table_of_deadlines(tmp_path: Path) -> None:
    (tmp_path / "deadlines").mkdir()
    (tmp_path / "deadlines" / "own.toml").write_text(
        'name = "own"\n[[duty]]\nduty = "leek"\nstarts = "reported"\ntarget = "on_site"\nwithin = "20 minutes"\nwho = "us"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_policy(written(tmp_path, HEAD + 'deadlines = "own"\n' + WHOLE_DAY))
    said = [str(mistake) for mistake in caught.value.mistakes]
    assert said == [
        "deadlines/own.toml:7: duty[0].who: 'us': no such key; a duty has duty, starts, target, within",
        f"deadlines/own.toml:3: duty[0].duty: 'leek': one of {', '.join(DUTIES)}",
        'deadlines/own.toml:6: duty[0].within: \'20 minutes\': a time above 0, such as "30 min", "8 h", "3 d" or "5 working days"',
    ]


def test_when_a_deadline_runs_out() -> None:
    start_ms = round(datetime(2026, 1, 16, 15, 0, tzinfo=ZONE).timestamp() * 1000)  # a Friday

    def workday(day: date) -> bool:
        return day.weekday() < 5

    def due(amount: float, unit: str) -> str:
        due_ms = Within(amount, unit).due_ms(start_ms, ZONE, workday)  # type: ignore[arg-type]
        return datetime.fromtimestamp(due_ms / 1000, UTC).astimezone(ZONE).isoformat()

    assert due(30, "min") == "2026-01-16T15:30:00+08:00"
    assert due(48, "h") == "2026-01-18T15:00:00+08:00"
    assert due(3, "d") == "2026-01-19T15:00:00+08:00"
    assert due(5, "workdays") == "2026-01-24T00:00:00+08:00"  # Monday to Friday, the end of that day


def test_duties_as_a_list(tmp_path: Path) -> None:
    duties = 'outage = [{ after_h = 8, action = "warn" }, { after_h = 24, action = "notice" }]\n'
    version = load_policy(written(tmp_path, HEAD + duties + WHOLE_DAY)).versions[0]
    assert (version.notice_after_h, version.warn_after_h) == (24.0, (8.0,))
    assert version.outage_duties == ((8.0, "warn"), (24.0, "notice"))
