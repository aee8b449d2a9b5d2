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
WARNED: Final = (
    "{subject}停热已{hours}小时，满{due}小时须发布停热通告。",
    "{subject} has been without heat for {hours} h; a notice is due after {due} h.",
)
OVERDUE: Final = ("{subject}：{duty}，应于{time}前完成，现已超时。", "{subject}: {duty} was due by {time} and is not done.")
SUBJECTS: Final = {"complaint": ("投诉", "Complaint"), "alarm": ("报警", "Alarm"), "notice": ("停热通告", "Notice")}
DETECTED: Final = ("{subject}停热。", "{subject} delivers no heat.")


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


def warning_message(site: Site, event_id: int, at_ms: int, subject: str, hours: float) -> Message:
    """The message of a warning to the dispatcher (0 hours: an outage was detected)."""
    version = site.policy.version_at(datetime.fromtimestamp(at_ms / 1000, site.timezone).date())
    due_h = version.notice_after_h if version else 8.0
    kind, _, name = subject.partition("/")
    station = site.stations.get(name) if kind == "station" else None
    values = {"subject": (station.name if station else "") or name, "hours": f"{hours:g}", "due": f"{due_h:g}"}
    zh, en = (text.format(**values) for text in (WARNED if hours else DETECTED))
    return Message(f"warning-{event_id}", at_ms, (f"停热预警 · {values['subject']}", f"Outage warning · {values['subject']}"), (zh, en))


def escalation_message(site: Site, row: Mapping[str, Any]) -> Message:
    """The message of a duty overdue, to whoever is told (R7); ``row`` is that of ``escalations``."""
    kind, _, number = row["subject"].partition("/")
    nouns = SUBJECTS.get(kind, (kind, kind))
    names = (f"{nouns[0]} №{number}", f"{nouns[1]} №{number}")
    time = datetime.fromtimestamp(row["due_at"] / 1000, site.timezone).strftime("%m-%d %H:%M")
    duties = REVIEW if row["duty"] == REVIEW_DUTY else DUTIES.get(row["duty"], (row["duty"], row["duty"]))
    texts = [text.format(subject=name, duty=duty, time=time) for text, name, duty in zip(OVERDUE, names, duties, strict=True)]
    title = (f"时限超时 · {names[0]}", f"Overdue · {names[1]}")
    return Message(f"escalation-{row['id']}", row["at"], title, (texts[0], texts[1]))


def _in(language: str, texts: Sequence[str], between: str) -> str:
    zh, en = texts
    return {"zh": zh, "en": en}.get(language) or (zh if zh == en else f"{zh}{between}{en}")
