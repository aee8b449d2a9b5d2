"""``keepwarm events diff``: what one replay decided and another did not."""

from collections import Counter
from pathlib import Path
from typing import Any

import click
import orjson

from domain.errors import ConfigError, Mistake

BAD_NEWS = 1
SHOWN = ("hours", "reason", "kind", "rooms", "started_at", "started_earliest", "ended_at", "stations", "cause", "limit_c")


@click.group()
def events() -> None:
    """Files of events, as keepwarm replay writes them."""


@events.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--summary", is_flag=True, help="Only how many events of each kind came and went.")
def diff(before: Path, after: Path, *, summary: bool) -> int:
    """What AFTER decides otherwise than BEFORE: lines with - and +, in order of time; exit code 1 where they differ.

    Events of one instant may stand in any order.
    """
    old, new = _read(before), _read(after)
    gone, came = old - new, new - old
    if not gone and not came:
        click.echo(f"both decide alike: {sum(old.values())} events")
        return 0
    if not summary:
        lines = [(_when(key), sign, key) for sign, keys in (("-", gone), ("+", came)) for key in keys.elements()]
        for _, sign, key in sorted(lines, key=lambda line: (line[0], line[1] == "+", line[2])):
            click.echo(f"{sign} {_said(orjson.loads(key))}")
    for name in sorted({orjson.loads(key)["event"] for key in (*gone, *came)}):
        counts = [sum(times for key, times in keys.items() if orjson.loads(key)["event"] == name) for keys in (old, new, gone, came)]
        click.echo(f"{name}: {counts[0]} → {counts[1]} (-{counts[2]} +{counts[3]})")
    return BAD_NEWS


def _read(path: Path) -> Counter[bytes]:
    """The events of a file, each in one form. Raises ConfigError with file and line for what is no event."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        fault = "no such file" if isinstance(error, FileNotFoundError) else f"can't be read: {(error.strerror or str(error)).lower()}"
        raise ConfigError(Mistake(str(path), fault)) from error
    found: Counter[bytes] = Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        event = _event(line)
        if event is None:
            text = line[:60].decode(errors="replace")
            raise ConfigError(
                Mistake(str(path), "an event of keepwarm replay: a JSON object with at, event, subject", line=number, value=text)
            )
        found[orjson.dumps(event, option=orjson.OPT_SORT_KEYS)] += 1
    return found


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    named = isinstance(event, dict) and all(isinstance(event.get(key), str) for key in ("at", "event", "subject"))
    return event if named else None


def _when(key: bytes) -> str:
    return str(orjson.loads(key)["at"])


def _said(event: dict[str, Any]) -> str:
    parts = [f"{name}={_text(event[name])}" for name in SHOWN if event.get(name) not in (None, [])]
    return " ".join([event["at"], event["event"], event["subject"], *parts])


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
