"""What goes out for a decision, in the channel's language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from compliance.notice import REVIEW, REVIEW_DUTY
from compliance.notice_text import closing_word
from domain.deadlines import DUTIES
from domain.site import Channel, Site

SPEAKS: Final = ("published", "amended", "closed")  # a notice speaks when it comes to one of these states
SUBJECTS: Final = {"complaint": ("投诉", "Complaint"), "alarm": ("报警", "Alarm"), "notice": ("停热通告", "Notice")}
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class Message:
    """One message: ``key`` identifies the decision it tells of; title and text by language."""

    key: str
    made_at: int
    title: tuple[str, str]
    text: tuple[str, str]
    notice_id: int | None = None

    def said(self, channel: Channel) -> tuple[str, str]:
        """Title and text as this channel says them."""
        return _in(channel.language, self.title, " · "), _in(channel.language, self.text, "\n\n")


def notice_message(site: Site, step: Mapping[str, Any]) -> Message | None:
    """The message of a notice's transition, in the words of that transition; None where it says nothing.

    A notice withdrawn before it was published says nothing.
    """
    if step["to_state"] not in SPEAKS or (step["from_state"], step["to_state"]) == ("due", "closed"):
        return None
    title, text = (step["title_zh"], step["title_en"]), (step["text_zh"], step["text_en"])
    if step["to_state"] == "amended":
        title = site.notice_texts.said("amended", "title", {"title": title[0]}, {"title": title[1]})
    elif step["to_state"] == "closed":
        word_zh, word_en = closing_word(site, step["closing"])
        title = f"{word_zh} · {title[0]}", f"{word_en} · {title[1]}"
        text = f"{step['closing_zh']}\n{text[0]}", f"{step['closing_en']}\n{text[1]}"
    return Message(f"notice-{step['id']}", step["at"], title, text, step["notice_id"])


@dataclass(frozen=True)
class Warned:
    """A warning to the dispatcher: of which outage (``station/ID``, ``source/ID``), ``hours`` after its start (0: it was detected).

    ``opened_at`` and ``started_earliest`` (UTC ms) are its outage's, as far as the records know it.
    """

    event_id: int
    at_ms: int
    subject: str
    hours: float
    opened_at: int | None = None
    started_earliest: int | None = None


def warning_message(site: Site, one: Warned) -> Message:
    """The message of a warning, in the site's words (R5): when the outage will reach the hours of a notice."""
    version = site.policy.version_at(_local(site, one.opened_at or one.at_ms).date())
    due_h = version.notice_after_h if version else 8.0
    from_ms = one.at_ms - round(one.hours * HOUR_MS) if one.started_earliest is None else one.started_earliest
    at, now = _local(site, from_ms + round(due_h * HOUR_MS)), _local(site, one.at_ms)
    kind, _, name = one.subject.partition("/")
    station = site.stations.get(name) if kind == "station" else None
    values = {
        "site": site.name, "subject": (station.name if station else "") or name, "hours": f"{one.hours:g}", "due": f"{due_h:g}",
        "time": at.strftime("%H:%M" if at.date() == now.date() else "%m-%d %H:%M"),
    }  # fmt: skip
    return _told(site, "warning" if one.hours else "detected", f"warning-{one.event_id}", one.at_ms, (values, values))


def escalation_message(site: Site, row: Mapping[str, Any]) -> Message:
    """The message of a duty overdue, to whoever is told (R7); ``row`` is that of ``escalations``."""
    kind, _, number = row["subject"].partition("/")
    nouns = SUBJECTS.get(kind, (kind, kind))
    duties = REVIEW if row["duty"] == REVIEW_DUTY else DUTIES.get(row["duty"], (row["duty"], row["duty"]))
    time = _local(site, row["due_at"]).strftime("%m-%d %H:%M")
    zh, en = (
        {"site": site.name, "subject": f"{noun} №{number}", "duty": duty, "time": time} for noun, duty in zip(nouns, duties, strict=True)
    )
    return _told(site, "overdue", f"escalation-{row['id']}", row["at"], (zh, en))


def _told(site: Site, table: str, key: str, at_ms: int, values: tuple[Mapping[str, str], Mapping[str, str]]) -> Message:
    said = site.notice_texts.said
    return Message(key, at_ms, said(table, "title", *values), said(table, "text", *values))


def _local(site: Site, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, site.timezone)


def _in(language: str, texts: Sequence[str], between: str) -> str:
    zh, en = texts
    return {"zh": zh, "en": en}.get(language) or (zh if zh == en else f"{zh}{between}{en}")
