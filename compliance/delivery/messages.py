"""What goes out for a decision, in the channel's language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from compliance.notice_closing import CLOSINGS
from domain.deadlines import DUTIES
from domain.site import Channel, Site

# A notice speaks when it comes to one of these states; what it says then.
TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "published": ("{title}", "{title}"),
    "amended": ("更正 · {title}", "Correction · {title}"),
    "closed": ("{word} · {title}", "{word} · {title}"),
}
WARNED: Final = (
    "{subject}停热已{hours}小时，满{due}小时须发布停热通告。",
    "{subject} has been without heat for {hours} h; a notice is due after {due} h.",
)
OVERDUE: Final = ("{subject}：{duty}，应于{time}前完成，现已超时。", "{subject}: {duty} was due by {time} and is not done.")
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


def notice_message(site: Site, transition_id: int, to_state: str, at_ms: int, notice: Mapping[str, Any]) -> Message | None:
    """The message of a notice's transition; None where it says nothing (a notice withdrawn before it was published)."""
    if to_state not in TITLES or (to_state == "closed" and notice["published_at"] is None):
        return None
    zh, en = TITLES[to_state]
    closing = CLOSINGS.get(str(notice["closing"]), CLOSINGS["restored"])
    title = zh.format(title=notice["title_zh"], word=closing.word_zh), en.format(title=notice["title_en"], word=closing.word_en)
    text = notice["text_zh"], notice["text_en"]
    if to_state == "closed":
        time = datetime.fromtimestamp(at_ms / 1000, site.timezone).strftime("%m-%d %H:%M")
        text = f"{closing.text_zh.format(time=time)}\n{text[0]}", f"{closing.text_en.format(time=time)}\n{text[1]}"
    return Message(f"notice-{transition_id}", at_ms, title, text, notice["id"])


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
    names = (f"投诉 №{number}", f"Complaint №{number}") if kind == "complaint" else (f"报警 №{number}", f"Alarm №{number}")
    time = datetime.fromtimestamp(row["due_at"] / 1000, site.timezone).strftime("%m-%d %H:%M")
    duties = DUTIES.get(row["duty"], (row["duty"], row["duty"]))
    texts = [text.format(subject=name, duty=duty, time=time) for text, name, duty in zip(OVERDUE, names, duties, strict=True)]
    title = (f"时限超时 · {names[0]}", f"Overdue · {names[1]}")
    return Message(f"escalation-{row['id']}", row["at"], title, (texts[0], texts[1]))


def _in(language: str, texts: Sequence[str], between: str) -> str:
    zh, en = texts
    return {"zh": zh, "en": en}.get(language) or (zh if zh == en else f"{zh}{between}{en}")
