"""What each process last said of itself: one small JSON file per component in ``DATA/health``."""

import json
import math
import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.site import Share

FOLDER = "health"
_NODE = re.compile(r"(?P<name>.+)-(?P<node>[0-9]+-of-[0-9]+)")


@dataclass(frozen=True)
class Health:
    """The last word of one component: ``at_ms`` by the site's clock, ``wall_at_ms`` by life's, and what it says of itself."""

    component: str
    at_ms: int
    wall_at_ms: int
    pid: int
    detail: dict[str, Any]


def write_health(data: Path, component: str, at_ms: int, detail: dict[str, Any]) -> None:
    """Writes what a component says of itself, for ``read_health`` in any process.

    ``at_ms`` is now by the site's clock. Numbers that are not finite become null. A full disk is not worth stopping for: then the old
    file stays and tells its age.
    """
    word = {"component": component, "at_ms": at_ms, "wall_at_ms": time.time_ns() // 1_000_000, "pid": os.getpid(), "detail": _plain(detail)}
    path = data / FOLDER / f"{component}.json"
    part = path.with_name(f".{component}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(word, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def read_health(data: Path) -> list[Health]:
    """The last word of every component, by name; files that can't be read are left out."""
    found = []
    for path in sorted((data / FOLDER).glob("[!.]*.json")):
        try:
            found.append(Health(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            continue
    return found


def node_of(component: str) -> tuple[str, str]:
    """A component's name without its node, and the node: ``watch-2-of-4`` is watch and 2-of-4. On one node: the name alone."""
    match = _NODE.fullmatch(component)
    return (match["name"], match["node"]) if match else (component, "")


def forget_other_shares(data: Path, component: str, share: Share) -> None:
    """Removes what nodes said when the site was dealt out to another number of them: they will never speak again."""
    for path in (data / FOLDER).glob(f"{component}*.json"):
        name, node = node_of(path.stem)
        if name == component and node.partition("-of-")[2] != (str(share.count) if share.mark else ""):
            path.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
