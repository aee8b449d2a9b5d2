"""``keepwarm policy`` as people call it, and every shipped policy."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.policy import Refund
from keepwarm.main import main
from store.records import open_records
from store.records.policies import policies_used, use_policy
from store.site_folder import load_policy, load_site
from store.site_folder.policies import SHIPPED, shipped_policies

GOOD = (SHIPPED / "default.toml").read_text(encoding="utf-8")


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["policy", *arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


def test_the_shipped_ones(policy: Callable[..., Ran]) -> None:
    assert policy("list").out.split() == ["default", "notice-at-24h", "profile-b", "profile-c", "twenty-all-day"]
    for name in shipped_policies():
        found = load_policy(name)
        assert found.name == name
        assert policy("check", name).code == 0
    assert [load_policy(name).versions[0].deadlines for name in ("default", "profile-b", "profile-c")] == ["A", "B", "C"]
    region = load_policy("notice-at-24h").versions[0]
    assert region.outage_duties == ((8.0, "warn"), (16.0, "warn"), (22.0, "warn"), (24.0, "notice"), (24.0, "refund"))
    assert region.refunds == (Refund(100.0, outage_h=24.0), Refund(50.0, below_c=16.0))
    warm = load_policy("twenty-all-day").version_at(date(2026, 1, 1))
    assert warm is not None
    assert {warm.limit_c("residential", hour * 3600) for hour in range(24)} == {20.0}


def test_show_says_it_in_words(policy: Callable[..., Ran]) -> None:
    ran = policy("show")
    assert ran.code == 0
    assert ran.out.splitlines()[2:] == [
        "from 2000-01-01",
        "  season: 11-15 to 03-15",
        "  residential: 00:00-06:00 ≥ 16 ℃, 06:00-21:00 ≥ 18 ℃, 21:00-24:00 ≥ 16 ℃",
        "  bungalow: 00:00-24:00 ≥ 16 ℃",
        "  outage duties: warning at 4 h, warning at 6 h, warning at 7 h, notice at 8 h",
        "  service deadlines: A",
        "  low_temperature_on_site: on_site within 30 min of reported",
        "  low_temperature_cured: resolved within 48 h of reported",
        "  leak_on_site: on_site within 30 min of reported",
        "  slip_handed_over: handed_over within 10 min of reported",
        "  complaint_verified: verified within 2 d of reported",
        "  slip_filed: filed within 5 d of reported",
        "  call_back_complaint: done within 3 d of closed",
        "  call_back_repair: done within 7 d of resolved",
        "  water_loss_handled: handled within 6 h of began",
    ]
    assert "refunds: 50 % for below 18 ℃, 100 % for below 16 ℃" in policy("show", "twenty-all-day").out


def test_diff_says_from_which_day_on(policy: Callable[..., Ran], tmp_path: Path) -> None:
    said = policy("diff", "default", "profile-b").out.splitlines()
    assert "from 2000-01-01  service deadlines: A → B" in said
    assert "from 2000-01-01  call_back_repair: done within 7 d of resolved → done within 48 h of resolved" in said
    assert policy("diff", "default", "default") == Ran(0, "", "")
    ran = policy("diff", "default", "twenty-all-day")
    assert ran.code == 1
    assert "from 2026-01-01  season: 11-15 to 03-15 → 11-01 to 03-31" in ran.out.splitlines()
    text = GOOD + GOOD[GOOD.index("[[version]]") :].replace("2000-01-01", "2027-01-01").replace("18.0", "19.0")
    text += GOOD[GOOD.index("[[version]]") :].replace("2000-01-01", "2028-01-01")
    (tmp_path / "new.toml").write_text(text, encoding="utf-8")
    lines = policy("diff", "default", "new.toml").out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("from 2027-01-01  residential: ")
    assert lines[1].startswith("from 2028-01-01  residential: the same again")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"21:00-06:00" = 16.0', '"20:00-06:00" = 16.0', "overlaps another"),
        ('"21:00-06:00" = 16.0', '"22:00-06:00" = 16.0', "leaves a gap"),
        ('from = "11-15", to = "03-15"', 'from = "03-15", to = "11-15"', "a season that ends after it begins"),
        ('deadlines = "A"', 'deadlines = "A"\nrefund = [{ outage_h = 24 }]', "refund[0].share_pct"),
        ('deadlines = "A"', 'deadlines = "A"\nrefund = [{ share_pct = 24 }]', "a tier is"),
        ('deadlines = "A"', 'deadlines = "A"\nrefund = [{ below_c = 16, outage_h = 2, share_pct = 24 }]', "a tier is"),
        ("notice_after_h = 8", "notice_after_h = 5", "rising hours"),
        ("18.0", '"18"', "a temperature in ℃"),
        ("[[version]]", "[[versions]]", "at least one [[version]]"),
    ],
)
def test_check_names_each_mistake(policy: Callable[..., Ran], tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "p.toml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    ran = policy("check", "p.toml")
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err
    assert all(line.startswith("p.toml") for line in ran.err.splitlines())
    assert policy("show", "p.toml").code == 2


def test_a_file_that_is_not_there(policy: Callable[..., Ran]) -> None:
    ran = policy("check", "nothing.toml")
    assert ran.code == 2
    assert "shipped policies are default" in ran.err


def test_the_records_remember_every_change(policy: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text('name = "t"\npolicy = "profile-b"\n', encoding="utf-8")
    assert policy("list", "site").out == "t: nothing was judged yet\n"
    open_records(load_site(Path("site")).data / "records.db").dispose()  # as an account's first link makes them
    assert policy("list", "site").out == "t: nothing was judged yet\n"
    engine = open_records(tmp_path / "site" / "data" / "records.db")
    with engine.begin() as connection:
        assert use_policy(connection, load_policy("default"), 1_768_359_600_000, "gao")
        assert not use_policy(connection, load_policy("default"), 1_768_359_700_000, "li")
        assert use_policy(connection, load_policy("profile-b"), 1_768_359_800_000, "li")
        assert use_policy(connection, load_policy("default"), 1_768_359_900_000, "gao")
        assert [(one.name, one.who) for one in policies_used(connection)] == [("default", "gao"), ("profile-b", "li"), ("default", "gao")]
    engine.dispose()
    lines = policy("list", "site").out.splitlines()
    assert lines[0].startswith("2026-01-14T11:00:00+08:00  default  ")
    assert policy("show", "site").out.startswith("profile-b  ")


CONTRACT = """name = "default"
[[version]]
valid_from = 2000-01-01                      # local date; the version in force at the instant judged applies
season = { from = "11-15", to = "03-15" }    # local days, inclusive; "always" for none
outage = { notice_after_h = 8, warn_after_h = [4, 6, 7] }
deadlines = "A"
[version.schedule.residential]
"06:00-21:00" = 18.0
"21:00-06:00" = 16.0
[version.schedule.bungalow]
"00:00-24:00" = 16.0
[version.schedule.office]                    # named by `schedule` of a contract room
"08:00-18:00" = 20.0
"18:00-08:00" = 12.0
"""


def test_the_contract_s_policy_is_the_shipped_one_with_an_office(tmp_path: Path, policy: Callable[..., Ran]) -> None:
    """architecture.md, word for word; `verify` is `check`, as the other nouns call it."""
    (tmp_path / "contract.toml").write_text(CONTRACT, encoding="utf-8")
    for name in ("check", "verify"):
        assert policy(name, "contract.toml").code == 0
    said = policy("diff", "default", "contract.toml")
    assert (said.code, said.out) == (
        1,
        "from 2000-01-01  office: – → 00:00-08:00 ≥ 12 ℃, 08:00-18:00 ≥ 20 ℃, 18:00-24:00 ≥ 12 ℃\n",
    )
