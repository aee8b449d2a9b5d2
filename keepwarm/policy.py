"""``keepwarm policy``: what the rules hold rooms and stations to (R1)."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click

from domain.clock import iso
from domain.errors import ConfigError, Mistake
from domain.policy import Policy, PolicyVersion, Refund, Window
from domain.site import Site
from store.site_folder import load_policy, load_site
from store.site_folder.policies import shipped_policies

BAD_NEWS = 1


@click.group()
def policy() -> None:
    """Policies: limits, season, outage duties, deadlines, by date. POLICY is a file, a shipped one's name, or a SITE folder."""


@policy.command()
@click.argument("policy", metavar="POLICY", default="default")
def show(policy: str) -> None:
    """Says what POLICY holds everybody to, version by version."""
    for line in written(_load(policy)):
        click.echo(line)


@policy.command("list")
@click.argument("site", metavar="[SITE]", required=False, type=click.Path(path_type=Path))
def list_(site: Path | None) -> None:
    """Lists the shipped policies; with SITE those it was judged by: when each was first used, by whom, and its hash."""
    if site is None:
        for name in shipped_policies():
            click.echo(name)
        return
    from store.records import reading, records_of
    from store.records.policies import policies_used

    found = load_site(site)
    if not _has_records(found):
        click.echo(f"{found.name}: nothing was judged yet")
        return
    with records_of(found) as engine, reading(engine).connect() as connection:
        used = list(policies_used(connection))
    if not used:
        click.echo(f"{found.name}: nothing was judged yet")
    for one in used:
        click.echo(f"{iso(one.first_used_at, found.timezone)}  {one.name}  {one.sha256[:12]}  {one.who}")


@policy.command()
@click.argument("file", metavar="FILE")
def check(file: str) -> int:
    """Looks through a policy FILE; every mistake is a line, and the exit code is 1 then."""
    if not Path(file).is_file() and file not in shipped_policies():
        raise ConfigError(Mistake(file, f"no such file; shipped policies are {', '.join(shipped_policies())}"))
    try:
        found = load_policy(file)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(str(mistake), err=True)
        return BAD_NEWS
    click.echo(f"{found.name}: {len(found.versions)} version{'' if len(found.versions) == 1 else 's'}, no mistakes, {found.sha256[:12]}")
    return 0


policy.add_command(check, "verify")  # as the other nouns call it


@policy.command()
@click.argument("before", metavar="POLICY")
@click.argument("after", metavar="POLICY")
def diff(before: str, after: str) -> int:
    """Says in what two policies differ, from which day on; exit code 1 when they do."""
    lines = list(differences(_load(before), _load(after)))
    for line in lines:
        click.echo(line)
    return BAD_NEWS if lines else 0


def written(found: Policy) -> Iterator[str]:
    """A policy in words a heating engineer reads."""
    yield f"{found.name}  {found.sha256}"
    for version in found.versions:
        yield ""
        yield f"from {version.valid_from.isoformat()}"
        for key, value in facts(found, version).items():
            yield f"  {key}: {value}"


def facts(policy: Policy, version: PolicyVersion) -> dict[str, str]:
    """What a version says, by name."""
    names = {"warn": "warning", "notice": "notice", "refund": "refund"}
    found = {"season": _season(version)}
    found |= {f"{name}": ", ".join(_window(window) for window in windows) for name, windows in version.schedules.items()}
    found["outage duties"] = ", ".join(f"{names[action]} at {hours:g} h" for hours, action in version.outage_duties)
    found["service deadlines"] = version.deadlines
    for one in policy.deadline_tables[version.deadlines].duties.values():
        found[one.duty] = f"{one.target} within {one.within} of {one.starts}"
    if version.refunds:
        found["refunds"] = ", ".join(map(_refund, version.refunds))
    return found


def differences(before: Policy, after: Policy) -> Iterator[str]:
    """In what two policies differ on any day; each with the day it begins on."""
    days = sorted({version.valid_from for version in (*before.versions, *after.versions)})
    said: dict[str, tuple[str, str]] = {}
    for day in days:
        old, new = _on(before, day), _on(after, day)
        for key in sorted({*old, *new, *said}):
            values = old.get(key, "–"), new.get(key, "–")
            if values[0] != values[1] and said.get(key) != values:
                yield f"from {day.isoformat()}  {key}: {values[0]} → {values[1]}"
                said[key] = values
            elif values[0] == values[1] and key in said:
                yield f"from {day.isoformat()}  {key}: the same again, {values[0]}"
                del said[key]


def _on(policy: Policy, day: date) -> dict[str, str]:
    version = policy.version_at(day)
    return {} if version is None else facts(policy, version)


def _load(name: str) -> Policy:
    return load_site(Path(name)).policy if (Path(name) / "site.toml").is_file() else load_policy(name)


def _season(version: PolicyVersion) -> str:
    if version.season is None:
        return "always"
    return " to ".join(f"{month:02d}-{day:02d}" for month, day in version.season)


def _window(window: Window) -> str:
    return f"{_clock(window.from_s)}-{_clock(window.to_s)} ≥ {window.limit_c:g} ℃"


def _clock(second_of_day: int) -> str:
    return f"{second_of_day // 3600:02d}:{second_of_day // 60 % 60:02d}"


def _refund(refund: Refund) -> str:
    when = f"below {refund.below_c:g} ℃" if refund.below_c is not None else f"outage of {refund.outage_h:g} h"
    return f"{refund.share_pct:g} % for {when}"


def _has_records(site: Site) -> bool:
    return bool(site.records_url) or (site.data / "records.db").is_file()
