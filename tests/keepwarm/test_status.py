"""The state of a site's processes in a line each."""

from keepwarm.status import line_of, silent
from store.health import Health

WALL_MS = 1_800_000_000_000


def test_a_line_tells_name_age_process_and_detail() -> None:
    health = Health("watch", 0, WALL_MS - 2_000, 41, {"pass_ms": 7, "backlog": 0})
    assert line_of(health, WALL_MS) == "watch            ok           2.0 s ago  pid 41      pass_ms=7  backlog=0"


def test_silent_after_half_a_minute_of_life_not_of_the_sites_clock() -> None:
    assert not silent(Health("watch", 0, WALL_MS - 30_000, 1, {}), WALL_MS)
    assert silent(Health("watch", WALL_MS, WALL_MS - 30_001, 1, {}), WALL_MS)
