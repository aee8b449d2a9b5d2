"""The state of a site's processes in a line each, and what they can't reach."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from keepwarm.main import exit_code
from keepwarm.status import FAILING_SHOWN, lines_of, silent
from store.health import Health, write_health

WALL_MS = 1_800_000_000_000
ZONE = ZoneInfo("Asia/Shanghai")


def line_of(**detail: object) -> str:
    (line,) = lines_of(Health("watch", 0, WALL_MS - 2_000, 41, detail), WALL_MS, ZONE)
    return line


def test_a_line_tells_name_age_process_and_detail() -> None:
    assert line_of(pass_ms=7, backlog=0) == "watch            ok           2.0 s ago  pid 41      pass_ms=7  backlog=0"


def test_what_has_nothing_to_say_is_left_out_and_instants_can_be_read() -> None:
    line = line_of(
        trouble=None, error="", refused=False, sources=[], unknown={"count": 0}, judged_at_ms=1_768_363_200_000, autonomy_h=167.123456
    )
    assert line.endswith("pid 41      judged_at=2026-01-14T12:00:00+08:00  autonomy_h=167.123")
    assert line_of(failing_since_ms=1_768_363_200_000, error="refused").endswith("failing_since=2026-01-14T12:00:00+08:00  error=refused")


def test_the_sources_that_fail_are_named_and_no_others() -> None:
    def source(number: int, state: str, last: int | None) -> dict[str, object]:
        return {"name": f"D{number}", "address": f"10.0.0.{number}:502", "state": state, "reason": "no answer", "last_good_ms": last}

    sources = [source(1, "good", 0), source(2, "failing", 1_768_363_200_000), *(source(n, "failing", None) for n in range(3, 30))]
    _, *failing = lines_of(Health("collect", 0, WALL_MS, 41, {"sources": sources}), WALL_MS, ZONE)
    assert failing[:2] == [
        "    D2 (10.0.0.2:502): no answer; last heard 2026-01-14T12:00:00+08:00",
        "    D3 (10.0.0.3:502): no answer; never heard",
    ]
    assert failing[FAILING_SHOWN:] == ["    and 18 more that fail"]


def test_silent_after_half_a_minute_of_life_not_of_the_sites_clock() -> None:
    assert not silent(Health("watch", 0, WALL_MS - 30_000, 1, {}), WALL_MS)
    assert silent(Health("watch", WALL_MS, WALL_MS - 30_001, 1, {}), WALL_MS)


def test_a_fresh_site_and_one_whose_watch_alone_has_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.toml").write_text('name = "石桥"\n', encoding="utf-8")
    assert exit_code(["status", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"石桥: nothing has run here yet; start it with: keepwarm run {tmp_path}\n"
    write_health(tmp_path / "data", "watch", 0, {"behind": 0})
    assert exit_code(["status", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("watch            ok ")
    assert exit_code(["status", str(tmp_path), "--only", "collect"]) == 1
    assert capsys.readouterr().out == "石桥: no collect has run here, only watch\n"
