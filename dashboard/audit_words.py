"""The audit in words: what was done, of what, and what stood there before and after, as people say it.

audit row (action, subject, before, after) ─▶ words of ``ACT``, names of subjects, fields by their kind ─▶ one line each
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dashboard.facts.subjects import Subject, address, subject
from dashboard.facts.town import Town
from dashboard.moments import Moments
from dashboard.text import N_, Speech
from dashboard.words import (
    ALARM_KIND,
    ALARM_STATE,
    COMPLAINT_CATEGORY,
    COMPLAINT_CAUSE,
    COMPLAINT_SOURCE,
    COMPLAINT_STATE,
    DEED,
    NOTICE_STATE,
    ROLE,
    name_of,
)

ACT: Final = {
    "acknowledge": N_("Acknowledged"),
    "amend_notice": N_("Notice amended"),
    "assign_complaint": N_("Complaint given to"),
    "attach_to_outage": N_("Attached to an outage"),
    "call_back": N_("Called back"),
    "call_off": N_("Planned stop called off"),
    "change_account": N_("Account changed"),
    "close_notice": N_("Notice closed"),
    "comment_alarm": N_("Alarm commented"),
    "edit_notice": N_("Notice edited"),
    "enter": N_("Signed in by a link"),
    "file_curve": N_("Curve filed"),
    "file_visit": N_("Visit filed"),
    "hand_over": N_("Shift handed over"),
    "invite": N_("One-time link made"),
    "make_key": N_("API key made"),
    "merge_complaint": N_("Complaint merged"),
    "move_complaint": N_("Complaint moved on"),
    "open_complaint": N_("Complaint opened"),
    "openid": N_("Signed in by single sign-on"),
    "out_of_service": N_("Out of service"),
    "plan_stop": N_("Stop planned"),
    "point_done": N_("Point done"),
    "prepare_notice": N_("Notice prepared"),
    "publish_notice": N_("Notice published"),
    "register_calibration": N_("Instrument registered"),
    "return_to_service": N_("Returned to service"),
    "revoke_key": N_("API key revoked"),
    "set_password": N_("Password set"),
    "shelve_alarm": N_("Shelved"),
    "shorten_stop": N_("Planned stop shortened"),
    "sign_in": N_("Signed in"),
    "sign_out": N_("Signed out"),
    "sign_out_everywhere": N_("Signed out everywhere"),
    "take_over": N_("Shift taken over"),
    "unshelve_alarm": N_("Shelf taken off"),
    "write_down": N_("Written into the log"),
}

FIELD: Final = {
    "state": N_("state"),
    "assignee": N_("in hand of"),
    "why": N_("reason"),
    "reason": N_("reason"),
    "comment": N_("comment"),
    "remark": N_("remark"),
    "category": N_("kind"),
    "source": N_("by"),
    "external_id": N_("hotline's slip"),
    "opened_at": N_("reported"),
    "proposed_at": N_("proposed"),
    "cause": N_("cause"),
    "reached": N_("reached"),
    "satisfied": N_("satisfied"),
    "outage_id": N_("outage №"),
    "until": N_("until"),
    "role": N_("role"),
    "districts": N_("districts"),
    "disabled": N_("shut out"),
    "identity": N_("identity"),
    "from_at": N_("from"),
    "to_at": N_("to"),
    "cancelled_at": N_("called off"),
    "kind": N_("alarm"),
    "calibrated_on": N_("calibrated on"),
    "calibrated_until": N_("valid until"),
    "instrument": N_("instrument"),
    "certificate": N_("certificate"),
    "expected_at": N_("expected back"),
    "measures": N_("measures"),
    "from": N_("from address"),
    "hash": N_("hash"),
    "version": N_("version"),
    "cause_zh": N_("cause (Chinese)"),
    "cause_en": N_("cause (English)"),
    "measures_zh": N_("measures (Chinese)"),
    "measures_en": N_("measures (English)"),
    "remark_zh": N_("remark (Chinese)"),
    "remark_en": N_("remark (English)"),
    "from_ms": N_("in force from"),
    "outdoor_c": N_("outdoors ℃"),
    "supply_c": N_("supply ℃"),
    "offsets_k": N_("offsets K"),
    "station_id": N_("station"),
    "room_id": N_("room"),
    "entry": N_("entry №"),
    "id": N_("record №"),
    "visit": N_("record №"),
    "measured_c": N_("measured ℃"),
    "limit_c": N_("limit ℃"),
    "merged_into": N_("merged into №"),
    "scopes": N_("scopes"),
}
# What a value is called, where it is none of the reader's own words: by field, and states by what they are of.
NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "category": COMPLAINT_CATEGORY,
    "source": COMPLAINT_SOURCE,
    "cause": COMPLAINT_CAUSE,
    "role": ROLE,
    "kind": ALARM_KIND,
}
STATES: Final = {"complaint": COMPLAINT_STATE, "alarm": ALARM_STATE, "notice": NOTICE_STATE}
NUMBERED: Final = {
    "complaint": (N_("complaint № {n}"), "complaints", "complaint"),
    "alarm": (N_("alarm № {n}"), "alarms", "alarm"),
    "notice": (N_("notice № {n}"), "outages", "notice"),
    "outage": (N_("outage № {n}"), "outages", "outage"),
    "visit": (N_("visit № {n}"), "", ""),
    "account": (N_("account {n}"), "", ""),
    "instrument": (N_("instrument {n}"), "", ""),
    "key": (N_("API key {n}"), "", ""),
}
HASH_SHOWN: Final = 12


def act_name(action: str) -> str:
    """The message for what was done; a deed of a complaint has the name of the deed, what nobody knows its own."""
    deed = action.removeprefix("complaint_")
    return ACT.get(action) or DEED.get(deed) or action


def acts_named(say: Speech, text: str) -> list[str]:
    """The acts whose name in the reader's language holds this text."""
    known = {**ACT, **{f"complaint_{deed}": name for deed, name in DEED.items()}}
    return [action for action, name in known.items() if text and text.casefold() in say(name).casefold()]


def act_subject(town: Town, say: Speech, text: str) -> Subject:
    """What it was done to, by its name or number."""
    kind, _, key = text.partition("/")
    if kind in NUMBERED:
        message, page, query = NUMBERED[kind]
        return Subject(kind, key, say(message, n=key), address(page, **{query: key}) if page and key.isdecimal() else "")
    if text == "shift":
        return Subject(kind, key, say("Shift log"), "shift")
    found = subject(town, text)
    return found if found.address else Subject(kind, key, text, "")


def said(say: Speech, moments: Moments, of: str, change: Any) -> str:
    """What stood there, in one line: ``state Accepted · in hand of Li``; what is empty is left out."""
    if not isinstance(change, dict):
        return "" if change is None else "、".join(map(str, change)) if isinstance(change, list) else str(change)
    shown = [(name, value) for name, value in _flat(change) if value not in (None, "", [])]
    return " · ".join(f"{say(name_of(FIELD, name))} {_value(say, moments, of, name, value)}" for name, value in shown)


def _flat(change: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of a change; those of a part of it (what a notice says) stand among them."""
    for name, value in change.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value


def _value(say: Speech, moments: Moments, of: str, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return say(N_("yes")) if value else say(N_("no"))
    if isinstance(value, int) and (name.endswith(("_at", "_ms")) or name == "until"):
        return moments.full(value)
    if name == "state":
        word = STATES.get(of.partition("/")[0].removesuffix("s"), {}).get(str(value))
        return say(word.message) if word else str(value)
    if name == "hash":
        return str(value)[:HASH_SHOWN]
    if isinstance(value, list):
        return say.pick("、", ", ").join(str(one).replace("-", "−") if isinstance(one, float) else str(one) for one in value)
    return say(name_of(NAMES[name], str(value))) if name in NAMES else str(value)
