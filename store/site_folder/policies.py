"""Policy files (R1), and whether a policy has what a room is held to."""

from datetime import date
from pathlib import Path

import domain
from domain.errors import ConfigError
from domain.policy import Policy, PolicyVersion, parse_policy
from domain.site import Room
from store.site_folder.suggestion import nearest
from store.site_folder.toml_file import read_toml

DEFAULT = "default"
SHIPPED = Path(domain.__file__).parent / "policies"


def load_policy(path: Path | str, shown: str | None = None) -> Policy:
    """The policy in a file, or a shipped one by its name, such as ``default``. ``shown`` is the file's name in messages.

    Raises ConfigError with every mistake in it.
    """
    if str(path) == DEFAULT or (str(path) in shipped_policies() and not Path(path).is_file()):
        path = SHIPPED / f"{path}.toml"
    file = read_toml(Path(path), shown or str(path))
    try:
        return parse_policy(file.document, file.content, file.shown)
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


def _in_force(policy: Policy, table: str, from_day: date | None, to_day: date | None) -> list[PolicyVersion]:
    versions = list(policy.versions)
    if from_day is None or to_day is None:
        having = [index for index, version in enumerate(versions) if table in version.schedules]
        return versions[having[0] :] if having else versions
    ends = [version.valid_from for version in versions[1:]] + [date.max]
    return [version for version, end in zip(versions, ends, strict=True) if version.valid_from <= to_day and end > from_day]
