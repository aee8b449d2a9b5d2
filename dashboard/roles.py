"""Who may do what. viewer < dispatcher, engineer, service < admin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["viewer", "dispatcher", "engineer", "service", "admin"]
Right = Literal[
    "view",
    "acknowledge",
    "write_notice",
    "move_complaint",
    "open_complaint",
    "file_curve",
    "file_visit",
    "plan_stop",
    "keep_shift",
    "keep_accounts",
]

ROLES: Final = ("viewer", "dispatcher", "engineer", "service", "admin")

RIGHTS: Final[Mapping[str, frozenset[str]]] = {
    "view": frozenset(ROLES),
    "acknowledge": frozenset({"dispatcher", "admin"}),
    "write_notice": frozenset({"dispatcher", "admin"}),
    "move_complaint": frozenset({"dispatcher", "service", "admin"}),
    "open_complaint": frozenset({"dispatcher", "service", "admin"}),
    "file_visit": frozenset({"dispatcher", "engineer", "service", "admin"}),
    "plan_stop": frozenset({"dispatcher", "engineer", "admin"}),
    "file_curve": frozenset({"engineer", "admin"}),
    "keep_shift": frozenset({"dispatcher", "admin"}),
    "keep_accounts": frozenset({"admin"}),
}


@dataclass(frozen=True)
class Account:
    """Somebody signed in. ``districts``: those the account is limited to, none for the whole site."""

    name: str
    role: str
    districts: frozenset[str] = frozenset()

    def may(self, right: Right) -> bool:
        """Whether this account's role has the right."""
        return self.role in RIGHTS[right]
