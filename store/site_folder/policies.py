"""Policy files (R1) with the service deadlines they name (R7), and whether a policy has what a room is held to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import domain
from domain.deadlines import DeadlineTable, parse_deadlines
from domain.errors import ConfigError, Mistake
from domain.policy import Policy, PolicyVersion
from domain.policy_file import parse_policy
from domain.site import Room
from store.site_folder.suggestion import nearest
from store.site_folder.toml_file import read_toml

DEFAULT = "default"
SHIPPED = Path(domain.__file__).parent / "policies"
DEADLINES = "deadlines"  # the folder of tables of deadlines, beside the policy's file


def load_policy(path: Path | str, shown: str | None = None, folder: Path | None = None) -> Policy:
    """The policy in a file, or a shipped one by its name, such as ``default``. ``shown`` is the file's name in messages.

    A table of deadlines is looked for in ``deadlines/`` of ``folder`` (by default the file's) and then among the shipped ones, so a
    site may override a shipped table.
    Raises ConfigError with every mistake in it.
    """
    if str(path) == DEFAULT or (str(path) in shipped_policies() and not Path(path).is_file()):
        path = SHIPPED / f"{path}.toml"
    file = read_toml(Path(path), shown or str(path))
    mistakes: list[Mistake] = []
    policy: Policy | None = None
    try:
        policy = parse_policy(file.document, file.content, file.shown)
    except ConfigError as error:
        mistakes += [file.located(mistake) for mistake in error.mistakes]
    tables: dict[str, DeadlineTable] = {}
    for index, name in _deadlines_named(file.document):
        try:
            tables[name] = _deadlines(name, folder or Path(path).parent)
        except KeyError as error:
            mistakes.append(file.located(Mistake(file.shown, str(error.args[0]), key=f"version[{index}].deadlines", value=name)))
        except ConfigError as error:
            mistakes.extend(error.mistakes)
    if policy is None or mistakes:
        raise ConfigError(*dict.fromkeys(mistakes))
    return replace(policy, deadline_tables=tables)


def _deadlines_named(document: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The table of deadlines that each version of a policy file names, by its place in the file."""
    versions = document.get("version")
    for index, version in enumerate(versions if isinstance(versions, list) else ()):
        name = version.get("deadlines", PolicyVersion.deadlines) if isinstance(version, dict) else None
        if isinstance(name, str):
            yield index, name


def _deadlines(name: str, folder: Path) -> DeadlineTable:
    """The table of this name. Raises KeyError where there is none, with a remedy."""
    known: dict[str, Path] = {}
    for place in (SHIPPED / DEADLINES, folder / DEADLINES):
        known.update({file.stem: file for file in sorted(place.glob("*.toml"))})
    if name not in known:
        raise KeyError(f"a table of service deadlines; {nearest(name, sorted(known))}")
    file = read_toml(known[name], f"{DEADLINES}/{known[name].name}")
    try:
        return parse_deadlines(file.document, file.shown)
    except ConfigError as error:
        raise ConfigError(*(file.located(mistake) for mistake in error.mistakes)) from None


def shipped_policies() -> list[str]:
    """The names of the policies that come with Keepwarm, the default first."""
    names = sorted(path.stem for path in SHIPPED.glob("*.toml"))
    return [DEFAULT, *(name for name in names if name != DEFAULT)]


def schedule_gap(policy: Policy, room: Room, from_day: date | None = None, to_day: date | None = None) -> str | None:
    """Why this room can't be judged by the policy in [from_day, to_day], as a remedy; None when it can.

    Without days: by any version since the first that has the room's schedule; before it there was no such contract.
    """
    table = room.table
    versions = _in_force(policy, table, from_day, to_day)
    lacking = [version for version in versions if table not in version.schedules]
    if versions and not lacking:
        return None
    known = sorted({name for version in policy.versions for name in version.schedules})
    if any(table in version.schedules for version in policy.versions):
        days = ", ".join(version.valid_from.isoformat() for version in lacking)
        return f"a schedule of policy {policy.name!r}; its version valid from {days} has no such [version.schedule.{table}]"
    return f"a schedule of policy {policy.name!r}; {nearest(table, known)}"


def check_schedules(policy: Policy, rooms: Iterable[Room], from_day: date | None = None, to_day: date | None = None) -> None:
    """Raises ConfigError when the policy lacks the schedule of one of the rooms, as ``schedule_gap`` finds it."""
    for table, room in {room.table: room for room in reversed(list(rooms))}.items():
        gap = schedule_gap(policy, room, from_day, to_day)
        if gap is not None:
            raise ConfigError(Mistake(f"policy {policy.name}", gap, key=f"room {room.room_id}: schedule", value=table))


def _in_force(policy: Policy, table: str, from_day: date | None, to_day: date | None) -> list[PolicyVersion]:
    versions = list(policy.versions)
    if from_day is None or to_day is None:
        having = [index for index, version in enumerate(versions) if table in version.schedules]
        return versions[having[0] :] if having else versions
    ends = [version.valid_from for version in versions[1:]] + [date.max]
    return [version for version, end in zip(versions, ends, strict=True) if version.valid_from <= to_day and end > from_day]
