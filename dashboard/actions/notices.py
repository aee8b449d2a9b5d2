"""What people do with notices (R5): prepare, edit, publish, amend, close. Who acts on an older version than stands is refused.

before it is due: prepare ─▶ due: edit … publish ─▶ published, amended: amend … ─▶ close
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select, update

from compliance.notice_text import Said, closing_texts, reworded
from dashboard.actions.acting import COMMENT_MOST, RefusedError, demand, note
from dashboard.roles import Account
from dashboard.text import N_
from domain.site import Site
from store.records.notices import next_step, notice_of
from store.records.tables import outages

WORDS_MOST: Final = 500
EXPECTED_MOST_MS: Final = 60 * 86_400_000
MEANWHILE: Final = N_("This notice has changed meanwhile: look at it again.")
# How a person may end a notice of an outage, and one of a planned stop; what else ends it, the rules find out.
ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {"outage": ("restored", "correction"), "planned": ("planned_over", "correction")}


def publish_notice(engine: Engine, who: Account, notice_id: int, seen_version: int, now_ms: int) -> None:
    """Publishes a due notice that waits for a dispatcher (R5, ``publish = "review"``).

    Raises RefusedError without the right, or when the notice is not due any more or was edited since.
    """
    demand(engine, who, "write_notice", "publish_notice", f"notice/{notice_id}", now_ms)
    with engine.begin() as connection:
        row = _seen(connection, notice_id, seen_version, "due")
        _step(connection, who, row, "published", now_ms, {"published_at": now_ms}, ("publish_notice", "confirmed"))


def edit_notice(engine: Engine, who: Account, site: Site, notice_id: int, seen_version: int, said: Said, now_ms: int) -> None:
    """Changes the words of a notice that nobody has seen yet; it stays due.

    Raises RefusedError without the right, for words that can't be, or when it is not due any more or was edited since.
    """
    demand(engine, who, "write_notice", "edit_notice", f"notice/{notice_id}", now_ms)
    with engine.begin() as connection:
        row = _seen(connection, notice_id, seen_version, "due")
        _step(connection, who, row, "due", now_ms, _reworded(site, row, said, now_ms), ("edit_notice", "edited"))


def amend_notice(
    engine: Engine, who: Account, site: Site, notice_id: int, seen_version: int, said: Said, why: str, now_ms: int
) -> None:  # fmt: skip
    """Tells users more of a published notice: cause, measures, expected restoration, a remark. What it said before is kept.

    Raises RefusedError without the right, for words that can't be or say nothing new, or when the notice changed meanwhile.
    """
    demand(engine, who, "write_notice", "amend_notice", f"notice/{notice_id}", now_ms)
    with engine.begin() as connection:
        row = _seen(connection, notice_id, seen_version, "published", "amended")
        _step(connection, who, row, "amended", now_ms, _reworded(site, row, said, now_ms), ("amend_notice", why.strip()[:COMMENT_MOST]))


def close_notice(
    engine: Engine, who: Account, site: Site, notice_id: int, seen_version: int, closing: str, why: str, now_ms: int
) -> None:  # fmt: skip
    """Ends a notice: heat is back (of a planned stop: it is over), or it was wrong and is withdrawn. The rules don't open it again.

    A due notice that is withdrawn was seen by nobody, and nobody is told. Raises RefusedError without the right, without a reason, for
    another ending, or when the notice changed meanwhile.
    """
    why = why.strip()[:COMMENT_MOST]
    demand(engine, who, "write_notice", "close_notice", f"notice/{notice_id}", now_ms)
    if not why:
        raise RefusedError(N_("A notice is closed with a reason."))
    with engine.begin() as connection:
        row = _seen(connection, notice_id, seen_version, "due", "published", "amended")
        if closing not in endings(row.outage_id is not None, row.state):
            raise RefusedError(N_("A notice does not end like this."))
        values = {"closed_at": now_ms, "closed_by": who.name, **closing_texts(site, closing, now_ms)}
        _step(connection, who, row, "closed", now_ms, values, ("close_notice", why))


def prepare_notice(engine: Engine, who: Account, outage_id: int, seen: Said, said: Said, now_ms: int) -> None:
    """Says beforehand what the notice of an open outage will say when it falls due: it goes out to the second then.

    ``seen`` is what had been prepared before. Raises RefusedError without the right, for words that can't be, or when the outage has ended,
    has its notice, or somebody prepared other words meanwhile.
    """
    demand(engine, who, "write_notice", "prepare_notice", f"outage/{outage_id}", now_ms)
    _check(said, now_ms)
    with engine.begin() as connection:
        if notice_of(connection, outage_id=outage_id) is not None:
            raise RefusedError(N_("This outage has its notice already: change that."))
        open_one = (outages.c.id == outage_id) & (outages.c.state == "open")
        kept = connection.execute(select(outages.c.said).where(open_one).with_for_update()).first()
        if kept is None:
            raise RefusedError(N_("This outage is over."))
        if Said.of(kept.said) != seen:
            raise RefusedError(MEANWHILE)
        connection.execute(update(outages).where(open_one).values(said=said.kept()))
        note(connection, now_ms, who, "prepare_notice", f"outage/{outage_id}", kept.said, said.kept())


def endings(of_outage: bool, state: str) -> tuple[str, ...]:
    """How a person may end a notice in this state."""
    if state == "due":
        return ("correction",)
    return ENDINGS["outage" if of_outage else "planned"] if state in ("published", "amended") else ()


def _seen(connection: Connection, notice_id: int, seen_version: int, *states: str) -> Row[tuple[Any, ...]]:
    """The notice as the person saw it. Raises RefusedError when it is another by now."""
    row = notice_of(connection, id=notice_id)
    if row is None or row.version != seen_version or row.state not in states:
        raise RefusedError(MEANWHILE)
    return row


def _reworded(site: Site, row: Row[tuple[Any, ...]], said: Said, now_ms: int) -> dict[str, Any]:
    """The words that a notice has with what is said now. Raises RefusedError where that is nothing new, or can't be."""
    _check(said, now_ms)
    if said == Said.of(row.said):
        raise RefusedError(N_("This says what the notice says already."))
    return {**reworded(site, row.subject, row.facts, said), "said": said.kept()}


def _check(said: Said, now_ms: int) -> None:
    if any(isinstance(words, str) and len(words) > WORDS_MOST for words in said.kept().values()):
        raise RefusedError(N_("Each text has at most 500 characters."))
    if said.expected_at is not None and not now_ms < said.expected_at <= now_ms + EXPECTED_MOST_MS:
        raise RefusedError(N_("Heat is expected back later than now, within 60 days."))


def _step(
    connection: Connection,
    who: Account,
    row: Row[tuple[Any, ...]],
    to_state: str,
    now_ms: int,
    values: dict[str, Any],
    act: tuple[str, str],
) -> None:
    """The step with its audit row; ``act`` is what was done, and why."""
    action, why = act
    if not next_step(connection, row.id, row.version, to_state, now_ms, values, who.name, why):
        raise RefusedError(MEANWHILE)
    before = {"state": row.state, "version": row.version, "said": row.said}
    after = {"state": to_state, "version": row.version + 1, "said": values.get("said", row.said), "why": why}
    note(connection, now_ms, who, action, f"notice/{row.id}", before, after)
