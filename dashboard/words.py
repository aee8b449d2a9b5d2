"""The words for states: message, icon of ``assets/icons.svg``, tone of ``assets/keepwarm.css``. Never colour alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboard.text import N_


@dataclass(frozen=True)
class Word:
    """How one state is shown. ``tone`` is ok, bad, warn, dim (unknown), plan or calm; ``letter`` stands in small cells."""

    message: str
    icon: str
    tone: str
    letter: str = ""


UNHEARD: Final = Word(N_("unknown"), "unknown", "dim", "?")

HEAT: Final = {
    "supplying": Word(N_("Supplying"), "ok", "ok"),
    "stopped": Word(N_("Heat stopped"), "stop", "bad"),
    "unknown": Word(N_("Heat unknown"), "unknown", "dim"),
    "unjudged": Word(N_("Not judged"), "dash", "calm"),
}
PLANNED: Final = Word(N_("Planned stop"), "plan", "plan")

COMM: Final = {
    "ok": Word(N_("Link ok"), "link", "calm"),
    "degraded": Word(N_("Link degraded"), "link", "warn"),
    "lost": Word(N_("Link lost"), "unlink", "warn"),
}

DATA: Final = {
    "good": Word(N_("Data good"), "ok", "calm"),
    "suspect": Word(N_("Data suspect"), "warn", "warn"),
    "bad": Word(N_("Data bad"), "cross", "warn"),
}

# How a building or riser stands against its station, and a heat exchanger against itself.
BALANCE: Final = {
    "cold": Word(N_("Too cold"), "low", "bad"),
    "warm": Word(N_("Too warm"), "warn", "warn"),
    "balanced": Word(N_("In balance"), "ok", "ok"),
    "uncertain": Word(N_("Not certain"), "unknown", "dim"),
}
EXCHANGER: Final = {
    "fouling": Word(N_("Fouling"), "warn", "bad"),
    "sound": Word(N_("Sound"), "ok", "ok"),
    "unknown": Word(N_("Too little to compare"), "unknown", "dim"),
}

# The entries of the shift log, and the figures a hand-over keeps.
SHIFT_ENTRY: Final = {
    "took_over": Word(N_("Took over"), "user", "ok"),
    "handed_over": Word(N_("Handed over"), "return", "plan"),
    "note": Word(N_("Note"), "dash", "calm"),
    "point": Word(N_("Open point"), "bell", "warn"),
    "done": Word(N_("Done"), "check", "ok"),
}
STANDING: Final = {
    "outages_open": N_("Open outages"),
    "stations_stopped": N_("Stations stopped"),
    "stations_unknown": N_("Stations unknown"),
    "alarms_unacknowledged": N_("Alarms unacknowledged"),
    "complaints_open": N_("Complaints open"),
}

# How a source of readings stands, and how the data of one point does (the page of data health).
SOURCE_STATE: Final = {
    "silent": Word(N_("Silent"), "unlink", "bad"),
    "failing": Word(N_("Last try failed"), "warn", "warn"),
    "never": Word(N_("Never heard"), "unknown", "dim"),
    "good": Word(N_("Answers"), "link", "ok"),
}
POINT_STATE: Final = {
    "bad": Word(N_("Bad values"), "cross", "bad"),
    "stuck": Word(N_("Stuck"), "stop", "bad"),
    "late": Word(N_("No fresh value"), "clock", "warn"),
    "never": Word(N_("Never heard"), "unknown", "dim"),
    "suspect": Word(N_("Suspect"), "warn", "warn"),
    "good": Word(N_("Good"), "ok", "ok"),
}

VERDICT: Final = {
    "compliant": Word(N_("Compliant"), "ok", "ok", "✓"),
    "breach": Word(N_("Below limit"), "low", "bad", "▼"),
    "unknown": Word(N_("Unknown"), "unknown", "dim", "?"),
    "unjudged": Word(N_("Not judged"), "dash", "calm", "–"),
}

ALARM_STATE: Final = {
    "unacknowledged": Word(N_("Unacknowledged"), "bell", "bad"),
    "acknowledged": Word(N_("Acknowledged"), "check", "warn"),
    "returned_unacknowledged": Word(N_("Returned, unacknowledged"), "return", "warn"),
    "shelved": Word(N_("Shelved"), "shelf", "plan"),
    "normal": Word(N_("Normal"), "ok", "calm"),
}

ALARM_KIND: Final = {
    "room_low": N_("Room too cold"),
    "curve_off": N_("Off the supply curve"),
    "water_high": N_("Make-up water high"),
    "water_escalated": N_("Make-up water high for 6 h"),
}

CLEARED_REASON: Final = {
    "recovered": N_("recovered"),
    "season_ended": N_("season ended"),
    "excluded": N_("room excluded"),
    "late_data": N_("late data"),
    "removed": N_("removed from the site"),
}

# Why the program itself took a step with an alarm; what a person wrote is shown as it is.
ALARM_WHY: Final = {
    **CLEARED_REASON,
    "moved by late readings": N_("moved by late readings"),
    "late readings: its end is another": N_("late readings: its end is another"),
    "late readings: the room was not warm": N_("late readings: the room was not warm"),
    "late readings: the room was too cold after all": N_("late readings: the room was too cold after all"),
    "the shelf has expired": N_("the shelf has expired"),
}

# What suppresses an alarm by design, or makes its sensor suspect (the part before / or : of what is stored).
SUPPRESSED: Final = {
    "outage": N_("covered by an outage"),
    "sensor": N_("sensor suspect"),
    "planned_stop": N_("planned stop"),
}


@dataclass(frozen=True)
class FigureWord:
    """A figure of the alarm system; a ``share`` is shown in per cent."""

    message: str
    share: bool = False


ALARM_FIGURE: Final = {
    "alarms per hour": FigureWord(N_("Alarms per hour")),
    "share of time in flood": FigureWord(N_("Time in alarm flood"), share=True),
    "share of the ten most frequent alarms": FigureWord(N_("Share of the ten most frequent"), share=True),
    "stale alarms": FigureWord(N_("Stale alarms")),
    "chattering alarms": FigureWord(N_("Chattering alarms")),
}

# The marks of the map, in the order of its key.
MAP_MARK: Final = {
    "stopped": N_("Heat stopped"),
    "unknown": N_("Heat unknown"),
    "planned": N_("Planned stop"),
    "supplying": N_("Supplying"),
    "unjudged": N_("Not judged"),
}

OUTAGE_STATE: Final = {
    "open": Word(N_("Open"), "stop", "bad"),
    "ended": Word(N_("Ended"), "ok", "calm"),
    "erased": Word(N_("Erased by late data"), "dash", "calm"),
}

CAUSE: Final = {
    "source_loss": N_("Heat source lost"),
    "power_loss": N_("Power lost"),
    "pump_trip": N_("Pump tripped"),
    "valve_shut": N_("Primary valve shut"),
    "pipe_burst": N_("Pipe burst"),
    "planned_stop": N_("Planned stop"),
    "unknown": N_("Cause unknown"),
}

NOTICE_STATE: Final = {
    "due": Word(N_("Due, not published"), "bell", "bad"),
    "published": Word(N_("Published"), "megaphone", "warn"),
    "amended": Word(N_("Amended"), "megaphone", "warn"),
    "closed": Word(N_("Ended"), "ok", "calm"),
}

DELIVERY_STATE: Final = {
    "waiting": Word(N_("Waiting to be sent"), "clock", "warn"),
    "sent": Word(N_("Sent"), "ok", "ok"),
    "refused": Word(N_("Refused"), "cross", "bad"),
}

COMPLAINT_STATE: Final = {
    "new": Word(N_("New"), "bell", "bad"),
    "accepted": Word(N_("Accepted"), "check", "warn"),
    "dispatched": Word(N_("Dispatched"), "truck", "warn"),
    "on_site": Word(N_("On site"), "pin", "warn"),
    "resolved": Word(N_("Resolved"), "ok", "ok"),
    "called_back": Word(N_("Called back"), "phone", "ok"),
    "closed": Word(N_("Closed"), "ok", "calm"),
    "rejected": Word(N_("Rejected"), "cross", "calm"),
    "merged": Word(N_("Merged"), "dash", "calm"),
    "reopened": Word(N_("Reopened"), "bell", "bad"),
}

# What leads to a state, as a person does it.
COMPLAINT_STEP: Final = {
    "accepted": N_("Accept"),
    "dispatched": N_("Dispatch"),
    "on_site": N_("Arrived on site"),
    "resolved": N_("Resolve"),
    "called_back": N_("Record the call-back"),
    "closed": N_("Close"),
    "rejected": N_("Reject"),
    "reopened": N_("Reopen"),
}

# How a call-back of a resident went, and what is stored of it.
CALL_BACK: Final = {
    "satisfied": N_("Called back: satisfied"),
    "not_satisfied": N_("Called back: not satisfied"),
    "not_reached": N_("Called back: nobody answered"),
}
CALL_BACK_SAYS: Final[Mapping[str, bool | None]] = {"satisfied": True, "not_satisfied": False, "not_reached": None}

COMPLAINT_KIND: Final = {
    "room": N_("Room"),
    "building": N_("Building"),
    "station": N_("Station"),
    "household": N_("Household"),
    "maintenance": N_("Maintenance"),
}

COMPLAINT_CATEGORY: Final = {
    "low_temperature": N_("Too cold"),
    "leak": N_("Leak"),
    "pipe_burst": N_("Pipe burst"),
    "heat_stopped": N_("Heat stopped"),
    "other": N_("Other"),
}

COMPLAINT_SOURCE: Final = {
    "phone": N_("Phone"),
    "counter": N_("Counter"),
    "app": N_("App"),
    "hotline_12345": N_("Hotline 12345"),
}

COMPLAINT_CAUSE: Final = {
    "curve_low": N_("Supply curve too low"),
    "hydraulic_imbalance": N_("Hydraulic imbalance"),
    "air_lock": N_("Air lock"),
    "station_fault": N_("Fault of the station"),
    "pipe_fault": N_("Fault of a pipe"),
    "source_fault": N_("Fault of the heat source"),
    "power_loss": N_("Power lost"),
    "user_side": N_("On the user's side"),
    "sensor_fault": N_("Fault of the sensor"),
    "no_fault_found": N_("No fault found"),
    "other": N_("Other"),
}

DEED: Final = {
    "contacted": N_("Contacted"),
    "handed_over": N_("Slip handed over"),
    "answered": N_("Opinion given"),
    "verified": N_("Verified with the complainant"),
    "filed": N_("Slip returned and filed"),
    "held": N_("Waiting for the resident"),
    "resumed": N_("Goes on"),
    "call_back": N_("Call-back"),
    "proposed": N_("Proposed resolved"),
    "withdrawn": N_("Proposal withdrawn"),
    "attached": N_("Complaint merged into this one"),
    "found": N_("Cause found"),
    "assigned": N_("In hand of"),
    "of_outage": N_("Attached to an outage"),
    "measured": N_("Measured too cold"),
}

DUTY_STANDING: Final = {
    "open": Word(N_("In time"), "clock", "calm"),
    "held": Word(N_("Waiting for the resident"), "clock", "dim"),
    "overdue": Word(N_("Overdue"), "bell", "bad"),
    "kept": Word(N_("Kept"), "ok", "ok"),
    "late": Word(N_("Too late"), "cross", "bad"),
    "void": Word(N_("No longer owed"), "dash", "calm"),
}

# What is due (facts/due.py); a complaint's duty has the name of the deadline.
DUE: Final = {
    "notice": Word(N_("Publish the notice"), "megaphone", "bad"),
    "review": Word(N_("Confirm the notice"), "megaphone", "bad"),
    "duty": Word(N_("Complaints"), "user", "warn"),
    "call_back": Word(N_("Call back"), "phone", "warn"),
    "shelf": Word(N_("Shelf ends"), "shelf", "calm"),
}

# What a duty of a complaint asks for, in a word.
DUTY_TARGET: Final = {
    "contacted": N_("contact"),
    "on_site": N_("on site"),
    "resolved": N_("cure"),
    "repaired": N_("repair"),
    "answered": N_("answer"),
    "handed_over": N_("hand over"),
    "verified": N_("verify"),
    "filed": N_("file"),
    "done": N_("call back"),
}

# The parts of the program that must be at work, and the protocols it speaks.
COMPONENT: Final = {
    "collect": N_("Collecting"),
    "forward": N_("Storing"),
    "watch": N_("Judging"),
    "dashboard": N_("Pages"),
    "simulate": N_("Simulated devices"),
}
PROTOCOL: Final = {
    "modbus_tcp": "Modbus TCP",
    "modbus_rtu_tcp": "Modbus RTU / TCP",
    "modbus_rtu": "Modbus RTU",
    "opcua": "OPC UA",
    "mqtt": "MQTT",
}

# What keeps readings and records, as an outage of it is told.
STORE: Final = {"journal": N_("journal"), "history": N_("history"), "records": N_("records"), "live": N_("live tables")}

# What a collector counts of its sources, as it writes it into its health; what is not here is shown as it is.
SOURCE_COUNT: Final = {
    "exception 1, illegal function": N_("exception 1, illegal function"),
    "exception 2, illegal address": N_("exception 2, illegal address"),
    "exception 3, illegal value": N_("exception 3, illegal value"),
    "exception 4, device failure": N_("exception 4, device failure"),
    "exception 5, acknowledge": N_("exception 5, acknowledge"),
    "exception 6, device busy": N_("exception 6, device busy"),
    "exception 8, memory parity": N_("exception 8, memory parity"),
    "exception 10, gateway path unavailable": N_("exception 10, gateway path unavailable"),
    "exception 11, gateway target silent": N_("exception 11, gateway target silent"),
    "late replies ruled out": N_("late replies ruled out"),
    "blocks split": N_("blocks split"),
    "requests of a poll without answer": N_("requests of a poll without answer"),
    "held back: the journal takes none": N_("held back: the journal takes none"),
    "retained": N_("retained messages"),
    "repeated": N_("repeated messages"),
    "of another node": N_("of another node"),
    "unknown sensor": N_("of unknown sensors"),
    "sensors offline": N_("sensors offline"),
    "nodes missing": N_("nodes missing"),
    "nodes not watched": N_("nodes not watched"),
    "items watched anew": N_("items watched anew"),
    "queue overflow": N_("queue overflow"),
    "subscription rebuilt: silent": N_("subscription rebuilt: silent"),
    "subscription rebuilt: changes not notified": N_("subscription rebuilt: changes not notified"),
    "not read, by an error of our own: see the log": N_("not read, by an error of our own: see the log"),
}

# Why a sensor's alarm makes a ticket of maintenance (R6).
SUSPICION: Final = {
    "step": N_("the sensor jumped by more than 3 K, no other room of the building moved"),
    "stuck": N_("the sensor said the same for 24 h while others of the building moved"),
    "battery": N_("the sensor's battery is low"),
}

# Why a step was taken, where the program took it.
STEP_WHY: Final = {
    **ALARM_WHY,
    **SUSPICION,
    **COMPLAINT_SOURCE,
    "auto": N_("published without review"),
    "confirmed": N_("confirmed"),
    "edited": N_("edited"),
    "heat is back": N_("heat is back"),
    "the season is over": N_("the season is over"),
    "called off": N_("called off"),
    "the planned stop is over": N_("the planned stop is over"),
    "correction: the plan has changed": N_("correction: the plan has changed"),
    "correction: heat is not back": N_("correction: heat is not back"),
    "correction: what is known has changed": N_("correction: what is known has changed"),
    "correction: late readings showed no outage": N_("correction: late readings showed no outage"),
    "correction: late readings showed another outage": N_("correction: late readings showed another outage"),
}

# How near a similar complaint is.
SIMILAR: Final = {"place": N_("same home"), "building": N_("same building"), "station": N_("same station")}

# Why a measuring visit is no official measurement.
VISIT_FAULT: Final = {
    "no_signature": N_("not signed"),
    "not_yet_calibrated": N_("before the calibration"),
    "calibration_expired": N_("calibration expired"),
    "windows_open": N_("windows shut for less than 30 min"),
    "off_centre": N_("not at the room's centre"),
    "wrong_height": N_("not at 1.2 m ± 0.1"),
    "no_reading": N_("no reading"),
}

TOLD: Final = {"department_head": N_("Department head"), "manager": N_("Manager")}

ORIGIN: Final = {"sensor": N_("Sensor"), "resident": N_("Resident"), "visit": N_("Visit")}

PREMISES: Final = {
    "residential": N_("Residential"),
    "bungalow": N_("Bungalow"),
    "contract": N_("By contract"),
}

ROLE: Final = {
    "viewer": N_("Viewer"),
    "dispatcher": N_("Dispatcher"),
    "engineer": N_("Engineer"),
    "service": N_("Service desk"),
    "admin": N_("Administrator"),
}

EVENT: Final = {
    "alarm.pending": Word(N_("Room below limit"), "low", "warn"),
    "alarm.forgotten": Word(N_("Room back at limit"), "ok", "calm"),
    "alarm.raised": Word(N_("Alarm raised"), "bell", "bad"),
    "alarm.no_data": Word(N_("Alarm without data"), "unknown", "dim"),
    "alarm.cleared": Word(N_("Alarm cleared"), "ok", "ok"),
    "outage.opened": Word(N_("Outage opened"), "stop", "bad"),
    "outage.ended": Word(N_("Outage ended"), "ok", "ok"),
    "notice.warning": Word(N_("Notice coming"), "clock", "warn"),
    "notice.due": Word(N_("Notice due"), "megaphone", "bad"),
    "notice.amended": Word(N_("Notice amended"), "megaphone", "warn"),
    "notice.closed": Word(N_("Notice closed"), "ok", "calm"),
    "complaint.opened": Word(N_("Complaint opened"), "phone", "warn"),
    "complaint.attached": Word(N_("Room joined a complaint"), "phone", "calm"),
    "curve.off": Word(N_("Off the supply curve"), "curve", "warn"),
    "curve.on": Word(N_("Back on the supply curve"), "ok", "calm"),
    "water.high": Word(N_("Make-up water high"), "drop", "warn"),
    "water.escalated": Word(N_("Make-up water high for 6 h"), "drop", "bad"),
    "comm.lost": Word(N_("Link lost"), "unlink", "warn"),
    "comm.up": Word(N_("Link is back"), "link", "ok"),
    "water.normal": Word(N_("Make-up water normal"), "ok", "calm"),
}

# The same beside a station's trends, where there is little room.
MARK: Final = {**{event: word.message for event, word in EVENT.items()}, "curve.filed": N_("Curve filed")}

# The bits of a station's alarm word, from bit 0 (design: domain.md); empty ones say nothing.
ALARM_BITS: Final = (
    N_("primary supply pressure low"),
    N_("secondary supply pressure high"),
    N_("secondary return pressure high"),
    N_("secondary return pressure low"),
    N_("primary supply temperature low"),
    N_("secondary supply temperature high"),
    N_("tank level high"),
    N_("tank level low"),
    N_("circulation pump 1 fault"),
    N_("circulation pump 2 fault"),
    N_("circulation pump 3 fault"),
    N_("make-up pump 1 fault"),
    N_("make-up pump 2 fault"),
    "",
    "",
    N_("power loss"),
)

QUALITY: Final = {
    0: "",
    1: N_("suspect"),
    2: N_("outside the usual range"),
    3: N_("changed too fast"),
    4: N_("return above supply"),
    5: N_("no flow with a pump running"),
    6: N_("counter ran backwards"),
    7: N_("device clock unusable"),
    8: N_("below the secondary side"),
    9: N_("feedback differs from command"),
    10: N_("far from the town's median"),
    11: N_("supply pressure not above return"),
    64: N_("bad"),
    65: N_("impossible value"),
    66: N_("no value (code)"),
    67: N_("not a number"),
    68: N_("stuck"),
    69: N_("not decodable"),
    70: N_("device reports an error"),
}


def alarm_bits(word: float | None) -> list[str]:
    """What the set bits of an alarm word say."""
    bits = 0 if word is None else int(word)
    return [message for place, message in enumerate(ALARM_BITS) if message and bits >> place & 1]


def look(table: Mapping[str, Word], state: str) -> Word:
    """The word for a state; "unknown" for one nobody heard of."""
    return table.get(state, UNHEARD)


def heat_word(heat: str, *, planned: bool) -> Word:
    """The word for a heat state; a planned stop is no alarm."""
    return PLANNED if planned and heat == "stopped" else look(HEAT, heat)


def name_of(table: Mapping[str, str], key: str) -> str:
    """The message for a key; the key itself where there is none."""
    return table.get(key, key)


WORDS: Final[Mapping[str, object]] = {
    "heat_word": heat_word,
    "comm_word": lambda state: look(COMM, state),
    "data_word": lambda state: look(DATA, state),
    "balance_word": lambda standing: look(BALANCE, standing),
    "exchanger_word": lambda verdict: look(EXCHANGER, verdict),
    "shift_word": lambda kind: look(SHIFT_ENTRY, kind),
    "standing_name": lambda name: name_of(STANDING, name),
    "store_name": lambda name: name_of(STORE, name),
    "source_word": lambda state: look(SOURCE_STATE, state),
    "point_word": lambda state: look(POINT_STATE, state),
    "verdict_word": lambda state: look(VERDICT, state),
    "alarm_word": lambda state: look(ALARM_STATE, state),
    "outage_word": lambda state: look(OUTAGE_STATE, state),
    "notice_word": lambda state: look(NOTICE_STATE, state),
    "delivery_word": lambda state: look(DELIVERY_STATE, state),
    "complaint_word": lambda state: look(COMPLAINT_STATE, state),
    "event_word": lambda event: look(EVENT, event),
    "alarm_kind": lambda kind: name_of(ALARM_KIND, kind),
    "component_name": lambda component: name_of(COMPONENT, component.partition("-")[0]),
    "protocol_name": lambda protocol: name_of(PROTOCOL, protocol),
    "step_why": lambda why: name_of(STEP_WHY, why),
    "suspicion_name": lambda why: name_of(SUSPICION, why),
    "alarm_why": lambda why: name_of(ALARM_WHY, why),
    "cleared_reason": lambda reason: name_of(CLEARED_REASON, reason),
    "cause_name": lambda cause: name_of(CAUSE, cause),
    "complaint_kind": lambda kind: name_of(COMPLAINT_KIND, kind),
    "category_name": lambda category: name_of(COMPLAINT_CATEGORY, category),
    "source_name": lambda source: name_of(COMPLAINT_SOURCE, source),
    "complaint_cause": lambda cause: name_of(COMPLAINT_CAUSE, cause),
    "deed_name": lambda deed: name_of(DEED, deed),
    "due_word": lambda what: look(DUE, what),
    "duty_target": lambda target: name_of(DUTY_TARGET, target),
    "duty_word": lambda standing: look(DUTY_STANDING, standing),
    "similar_how": lambda how: name_of(SIMILAR, how),
    "fault_name": lambda fault: name_of(VISIT_FAULT, fault),
    "told_name": lambda told: name_of(TOLD, told),
    "origin_name": lambda origin: name_of(ORIGIN, origin),
    "premises_name": lambda premises: name_of(PREMISES, premises),
    "role_name": lambda role: name_of(ROLE, role),
    "alarm_bits": alarm_bits,
    "quality_name": lambda quality: QUALITY.get(quality, QUALITY[64]),
}
