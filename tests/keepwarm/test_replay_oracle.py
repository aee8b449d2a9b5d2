"""``keepwarm replay`` and ``audit`` over towns written as files, against the rules and the plausibility table read slowly.

``KEEPWARM_ORACLE_TOWNS=5000`` makes the comparison longer, ``KEEPWARM_ORACLE_SEED=70000`` begins it elsewhere.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.reading import Quality
from domain.site import Site
from keepwarm.main import exit_code
from store.site_folder import load_policy
from store.site_folder.policies import SHIPPED
from tests.compliance.edge_towns import edge_town
from tests.compliance.oracle_rooms import Row
from tests.compliance.oracle_rules import decide
from tests.compliance.test_oracle_rules import Line, line
from tests.domain.oracle_screening import Row as Screened
from tests.domain.oracle_screening import Town
from tests.domain.screening_days import screening_day
from tests.keepwarm.naive_audit import Asked, Home, naive_audit
from tests.keepwarm.naive_audit import Row as Judged
from tests.keepwarm.test_audit_oracle import differences
from tests.keepwarm.town_files import write_town

TOWNS = int(os.environ.get("KEEPWARM_ORACLE_TOWNS", "12"))
FIRST = int(os.environ.get("KEEPWARM_ORACLE_SEED", "0"))
POLICY = load_policy("default")
INSTANTS = ("started_at", "started_earliest", "ended_at")


def replayed(folder: Path, readings: Path, *words: str) -> list[Line]:
    """What the command says, as the oracle's lines."""
    out = folder / "events.jsonl"
    assert exit_code(["replay", str(folder), "--readings", str(readings), *words, "--out", str(out)]) == 0
    said = []
    for text in out.read_text().splitlines():
        body = json.loads(text)
        body |= {key: _ms(body[key]) for key in INSTANTS if body.get(key) is not None}
        said.append(line(_ms(body.pop("at")), body.pop("event"), body.pop("subject"), body))
    return sorted(said)


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + TOWNS))
def test_a_town_of_files_is_decided_as_the_rules_say(seed: int, tmp_path: Path) -> None:
    town = edge_town(seed, POLICY)
    readings = write_town(tmp_path / "town", town.site, town.rows)
    assert replayed(tmp_path / "town", readings) == sorted(line(*said) for said in decide(town.site, town.rows, town.to_ms))


def marked(site: Site, rows: Sequence[Screened]) -> tuple[list[Row], list[Row]]:
    """The rows as they came, and as the plausibility table leaves them."""
    given: list[Row] = [(row.point, row.at, row.value, Quality.BAD if row.bad else Quality.GOOD, None) for row in rows]
    bad = {Quality.RANGE.name, Quality.SENTINEL.name, Quality.NOT_A_NUMBER.name, Quality.STUCK.name}
    reasons = Town(site, rows).marks()
    return given, [(*row[:3], Quality.BAD if row[3] or why & bad else Quality.GOOD, None) for row, why in zip(given, reasons, strict=True)]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + TOWNS))
def test_with_screen_a_replay_leaves_out_what_the_table_rejects(seed: int, tmp_path: Path) -> None:
    site, rows = screening_day(seed, POLICY)
    given, left = marked(site, rows)
    readings = write_town(tmp_path / "town", site, given)
    assert replayed(tmp_path / "town", readings, "--screen") == sorted(line(*said) for said in decide(site, left))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + TOWNS))
def test_with_screen_an_audit_leaves_out_what_the_table_rejects(seed: int, tmp_path: Path) -> None:
    site, rows = screening_day(seed, POLICY)
    given, left = marked(site, rows)
    folder = tmp_path / "town"
    words = ["audit", "--readings", str(write_town(folder, site, given)), "--rooms", str(folder / "rooms.csv"), "--screen"]
    assert exit_code([*words, "--out", str(tmp_path / "out.json")]) == 0
    document = json.loads((tmp_path / "out.json").read_bytes(), parse_float=Decimal)
    temperatures = [(row[0].split("/")[1], *row[1:4]) for row in left if row[0].endswith("/indoor_temp_c")]
    judged = [Judged(room, at, value, "bad" if quality else "") for room, at, value, quality in temperatures]
    homes = [Home(room.room_id, room.building_id, room.station_id) for room in site.rooms.values()]
    wanted = naive_audit(Asked(judged, homes, [], (SHIPPED / "default.toml").read_text(), "Asia/Shanghai"))
    found = {one["room_id"]: one for one in document["rooms"]}
    told = [text for one in wanted["rooms"] for text in differences(found[one["room_id"]], one)]
    assert told + differences(document["totals"], wanted["totals"]) == []
