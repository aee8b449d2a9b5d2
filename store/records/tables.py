"""The tables of the records. Instants are UTC milliseconds; a transition is a stored row (from, to, at, who, why)."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives row ids only to INTEGER keys.
_KEY = BigInteger().with_variant(Integer, "sqlite")


def _transitions(of: str, *more: Column[Any] | UniqueConstraint) -> Table:
    """The journal of transitions of one kind of row; ``more`` is what it keeps beside."""
    return Table(
        f"{of}_transitions",
        metadata,
        Column("id", _KEY, primary_key=True),
        Column(f"{of}_id", ForeignKey(f"{of}s.id"), nullable=False, index=True),
        Column("from_state", String(32), nullable=False),
        Column("to_state", String(32), nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("who", String(128), nullable=False),
        Column("why", Text, nullable=False, default=""),
        *more,
    )


def _words() -> tuple[Column[Any], ...]:
    """What a notice says, and what is said at its end."""
    names = ("title_zh", "title_en", "text_zh", "text_en", "closing_zh", "closing_en")
    closing: Column[Any] = Column("closing", String(32), nullable=False, default="")  # one of domain.notice_texts.CLOSINGS
    return (*(Column(name, Text, nullable=False, default="") for name in names), closing)


def _queued() -> Column[Any]:
    """Whether its messages stand in the outbox. A cursor would not do: on PostgreSQL a lower id may become visible later."""
    return Column("queued", Boolean, nullable=False, default=False)


# kind: room_low (R3), curve_off, water_high, water_escalated (R9); subject: room/ID, station/ID.
# state (ISA-18.2): unacknowledged, acknowledged, returned_unacknowledged, normal.
alarms = Table(
    "alarms",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("station_id", String(128), index=True),
    Column("building_id", String(128), index=True),
    Column("pending_at", BigInteger, nullable=False),
    Column("raised_at", BigInteger, nullable=False, index=True),
    Column("cleared_at", BigInteger, index=True),
    Column("cleared_reason", String(32)),  # recovered, season_ended, excluded, late_data, removed
    Column("no_data_at", BigInteger),  # since when the silence is marked, null when data came again
    Column("value", Float),
    Column("limit_value", Float),
    Column("policy", String(128), nullable=False, default=""),
    Column("state", String(32), nullable=False, default="unacknowledged", index=True),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(128)),
    Column("comment", Text, nullable=False, default=""),
    Column("shelved_until", BigInteger),
    Column("shelved_by", String(128)),
    Column("shelved_reason", Text),
    Column("suppressed_by", String(160)),  # why by design: planned_stop, outage/ID; else shelved, out_of_service, sensor:…
    UniqueConstraint("kind", "subject", "raised_at"),
)
Index(
    "ix_alarms_shelved_until",
    alarms.c.shelved_until,
    sqlite_where=alarms.c.shelved_until.is_not(None),
    postgresql_where=alarms.c.shelved_until.is_not(None),
)
Index("ix_alarms_kind_cleared_at", alarms.c.kind, alarms.c.cleared_at)
Index(
    "ix_alarms_no_data_at",
    alarms.c.no_data_at,
    sqlite_where=alarms.c.no_data_at.is_not(None),
    postgresql_where=alarms.c.no_data_at.is_not(None),
)
alarm_transitions = _transitions("alarm")

# Alarms that a person took out of service (ISA-18.2): what they raise until they are returned is kept and makes no complaint.
out_of_service = Table(
    "out_of_service",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(160), nullable=False, index=True),
    Column("since", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("returned_at", BigInteger),
    Column("returned_by", String(128)),
)

# state: open, ended, erased. subject: station/ID or source/ID; a part of a source's outage names it in parent_id.
outages = Table(
    "outages",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("subject", String(160), nullable=False, index=True),
    Column("station_id", String(128), index=True),
    Column("source_id", String(128), index=True),
    Column("state", String(32), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("started_earliest", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, index=True),
    Column("ended_seen_at", BigInteger),  # when its end was certain: the instant of the event outage.ended
    Column("cause", String(64), nullable=False, default="unknown"),
    Column("evidence", JSON, nullable=False, default=list),
    Column("parent_id", ForeignKey("outages.id")),
    Column("stations", JSON, nullable=False, default=list),
    Column("said", JSON, nullable=False, default=dict),  # what a dispatcher says for the notice to come
    Column("version", Integer, nullable=False, default=1),  # what it said before is in outage_versions
    Column("reason", Text, nullable=False, default=""),
)
outage_transitions = _transitions("outage")
# What an outage said before late readings moved, split, joined, erased or restored it (R4); rows are only added.
outage_versions = Table(
    "outage_versions",
    metadata,
    Column("outage_id", ForeignKey("outages.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("facts", JSON, nullable=False),  # state, instants and stations as they were, and the reason of that version
    Column("replaced_at", BigInteger, nullable=False),
)

# state: due, published, amended, closed; one per outage or planned stop. The words are those of its last transition.
notices = Table(
    "notices",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("outage_id", ForeignKey("outages.id"), unique=True),
    Column("planned_stop", String(255), unique=True),  # station_id@from_ms, of a registered one with #id behind it
    Column("subject", String(160), nullable=False),
    Column("state", String(32), nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
    Column("published_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("closed_by", String(128)),  # a person; null where the end of the outage did it
    Column("late", Boolean, nullable=False, default=False),
    Column("stations", JSON, nullable=False, default=list),
    Column("households", Integer),
    Column("version", Integer, nullable=False, default=1),  # counts its transitions: who acts on an older one is refused
    Column("changed_at", BigInteger, nullable=False, default=0),  # of its last transition
    Column("facts", JSON, nullable=False, default=dict),  # what its words rest on
    Column("said", JSON, nullable=False, default=dict),  # what a dispatcher said for them
    *_words(),
)
# Each with the words that the notice had from then on.
notice_transitions = _transitions(
    "notice", Column("version", Integer, nullable=False, default=1), *_words(), _queued(), UniqueConstraint("notice_id", "version")
)
Index(
    "ix_notice_transitions_not_queued",
    notice_transitions.c.id,
    sqlite_where=notice_transitions.c.queued.is_(False),
    postgresql_where=notice_transitions.c.queued.is_(False),
)

# What goes out (R5): recorded before it is sent, one row for each message and channel. state: waiting, sent, refused.
# ``key`` identifies the message to whoever gets it, however often it is sent. ``made_at`` is the site's time, the others are life's.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("key", String(160), nullable=False, unique=True),
    Column("channel", String(128), nullable=False),
    Column("notice_id", ForeignKey("notices.id"), index=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("state", String(32), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", BigInteger, nullable=False),
    Column("first_tried_at", BigInteger),
    Column("done_at", BigInteger),
    Column("result", Text, nullable=False, default=""),
    Index("ix_deliveries_state_next_at", "state", "next_at"),
)


# kind: room, building, station, household (a resident's home without a measuring point), maintenance; origin: sensor, resident, visit (R6).
# category (R7): low_temperature, leak, pipe_burst, heat_stopped, other; source of a resident's: phone, counter, app, hotline_12345.
# state: new, accepted, dispatched, on_site, resolved, called_back, closed, rejected, merged, reopened.
complaints = Table(
    "complaints",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("subject", String(160), nullable=False, index=True),
    Column("station_id", String(128), index=True),
    Column("building_id", String(128), index=True),
    Column("opened_at", BigInteger, nullable=False, index=True),
    Column("state", String(32), nullable=False, index=True),
    Column("merged_into", ForeignKey("complaints.id"), index=True),
    Column("outage_id", ForeignKey("outages.id"), index=True),  # the outage that a person found it to belong to
    Column("assignee", String(128), nullable=False, default=""),  # who has it in hand: who accepted it, then who was sent
    Column("reason", Text, nullable=False, default=""),
    Column("evidence", JSON, nullable=False, default=dict),
    Column("category", String(32), nullable=False, default="low_temperature"),
    Column("severity", String(32), nullable=False, default="ordinary"),  # of a burst: ordinary, major
    Column("cause", String(64), nullable=False, default=""),  # as found when it was resolved or rejected
    Column("source", String(32), nullable=False, default=""),
    Column("external_id", String(128)),  # its number in the system that posted it
    Column("address", Text, nullable=False, default=""),
    Column("reporter", String(128), nullable=False, default=""),
    Column("contact", String(128), nullable=False, default=""),
    Column("visit_id", BigInteger, unique=True),  # the measuring visit that opened it
    Column("proposed_at", BigInteger),  # since when it is proposed resolved; the evidence stands in the deed
    UniqueConstraint("source", "external_id"),
)
# Exactly one for each episode; two residents may well complain in one millisecond.
Index(
    "uq_complaints_sensor_episode",
    complaints.c.kind,
    complaints.c.subject,
    complaints.c.opened_at,
    unique=True,
    sqlite_where=complaints.c.origin == "sensor",
    postgresql_where=complaints.c.origin == "sensor",
)
complaint_transitions = _transitions("complaint")
complaint_rooms = Table(
    "complaint_rooms",
    metadata,
    Column("complaint_id", ForeignKey("complaints.id"), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("raised_at", BigInteger, primary_key=True),  # the room alarm's episode
    Column("attached_at", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False, default=dict),
)
# What was done for a complaint beside its states; rows are only added.
# kind: contacted, handed_over, answered, verified, filed, held, resumed, call_back, found, proposed, withdrawn, attached,
# assigned, of_outage, measured.
complaint_deeds = Table(
    "complaint_deeds",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("complaint_id", ForeignKey("complaints.id"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("why", Text, nullable=False, default=""),
    Column(
        "body", JSON, nullable=False, default=dict
    ),  # call_back: reached, satisfied; found: cause; proposed: the evidence; assigned: to; of_outage: outage
)
# An overdue duty told one step up, once per step. subject: complaint/ID, alarm/ID, notice/ID; told: department_head, manager.
escalations = Table(
    "escalations",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("subject", String(160), nullable=False, index=True),
    Column("duty", String(64), nullable=False),
    Column("started_at", BigInteger, nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("told", String(32), nullable=False),
    _queued(),
    UniqueConstraint("subject", "duty", "started_at", "step"),
)

Index(
    "ix_escalations_not_queued",
    escalations.c.id,
    sqlite_where=escalations.c.queued.is_(False),
    postgresql_where=escalations.c.queued.is_(False),
)

# Measuring visits (R8). Append-only: triggers refuse changes; each row carries the hash of the one before it.
visits = Table(
    "visits",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("room_id", String(128), nullable=False, index=True),
    Column("measured_at", BigInteger, nullable=False, index=True),
    Column("measured_by", String(128), nullable=False),
    Column("instrument", String(128), nullable=False),
    Column("calibrated_on", String(10), nullable=False),
    Column("calibrated_until", String(10), nullable=False),
    Column("windows_shut_min", Float, nullable=False),
    Column("at_centre", Boolean, nullable=False),
    Column("height_m", Float, nullable=False),
    Column("readings_c", JSON, nullable=False),
    Column("signature", LargeBinary),  # PNG
    Column("complaint_id", ForeignKey("complaints.id"), index=True),
    Column("corrects", ForeignKey("visits.id")),
    Column("remark", Text, nullable=False, default=""),
    Column("filed_at", BigInteger, nullable=False),
    Column("filed_by", String(128), nullable=False),
    Column("prev_hash", String(64), nullable=False, unique=True),
    Column("hash", String(64), nullable=False, unique=True),
)

# The register of measuring instruments: one row for each calibration, never changed; a visit names what held on its day (R8).
calibrations = Table(
    "calibrations",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("instrument", String(128), nullable=False),
    Column("calibrated_on", String(10), nullable=False),
    Column("calibrated_until", String(10), nullable=False),
    Column("certificate", String(128), nullable=False, default=""),
    Column("registered_at", BigInteger, nullable=False),
    Column("registered_by", String(128), nullable=False),
    UniqueConstraint("instrument", "calibrated_on"),
)

# Each change of policy (R1): the file as it was, since when something is judged by it, who put it in force.
policies = Table(
    "policies",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("name", String(128), nullable=False),
    Column("content", Text, nullable=False),
    Column("first_used_at", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
)

# Planned stops (计划停热) registered on a page or by the API, beside those of planned_stops.csv (R4, R5).
planned_stops = Table(
    "planned_stops",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("station_id", String(128), nullable=False),
    Column("from_at", BigInteger, nullable=False),
    Column("to_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("who", String(128), nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("cancelled_at", BigInteger),
    Column("cancelled_by", String(128)),
    Column("changes", Integer, nullable=False, default=0),  # how often it was shortened or called off
)
Index(
    "uq_planned_stops_standing",
    planned_stops.c.station_id,
    planned_stops.c.from_at,
    unique=True,
    sqlite_where=planned_stops.c.cancelled_at.is_(None),
    postgresql_where=planned_stops.c.cancelled_at.is_(None),
)

# The dispatch room's log (交接班). Append-only: triggers refuse changes. kind: took_over, handed_over, note, point, done.
# ``refers_to``: the point that is done, or the entry of duty before; each once, so that of two people one takes over.
shift_entries = Table(
    "shift_entries",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("who", String(128), nullable=False),
    Column("text", Text, nullable=False, default=""),
    Column("refers_to", ForeignKey("shift_entries.id")),
    Column("body", JSON, nullable=False, default=dict),  # handed_over: open_points, standing
    UniqueConstraint("kind", "refers_to"),
)

# Curves filed on a page or by command (R9); those of curves.csv stand in the site's folder. A curve once filed is never changed.
filed_curves = Table(
    "filed_curves",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("station_id", String(128), nullable=False),
    Column("effective_from", BigInteger, nullable=False),
    Column("outdoor_c", JSON, nullable=False),
    Column("supply_c", JSON, nullable=False),
    Column("offsets_k", JSON, nullable=False, default=list),
    Column("filed_at", BigInteger, nullable=False),
    Column("filed_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("station_id", "effective_from"),
)

# What the rules decided, as it was decided: the same events that ``keepwarm replay`` prints.
events = Table(
    "events",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("event", String(32), nullable=False),
    Column("subject", String(160), nullable=False, index=True),
    Column("which", String(32), nullable=False, default=""),  # tells events of one instant apart: the hours of a warning
    Column("body", JSON, nullable=False, default=dict),
    _queued(),
    UniqueConstraint("event", "subject", "at", "which", name="uq_events_event_subject_at_which"),
)

Index(
    "ix_events_not_queued",
    events.c.id,
    sqlite_where=events.c.queued.is_(False) & (events.c.event == "notice.warning"),
    postgresql_where=events.c.queued.is_(False) & (events.c.event == "notice.warning"),
)

# R2 of one room on one local day, as last computed.
room_days = Table(
    "room_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("building_id", String(128)),
    Column("station_id", String(128)),
    Column("judged_ms", BigInteger, nullable=False),
    Column("compliant_ms", BigInteger, nullable=False),
    Column("breach_ms", BigInteger, nullable=False),
    Column("unknown_ms", BigInteger, nullable=False),
    Column("breach_day_ms", BigInteger, nullable=False),
    Column("breach_night_ms", BigInteger, nullable=False),
    Column("deficit_kh", Float, nullable=False),
    Column("longest_breach_ms", BigInteger, nullable=False),
    Column("min_c", Float),
    Column("max_c", Float),
    Column("mean_c", Float),
    Column("readings", Integer, nullable=False),
    Column("readings_breach", Integer, nullable=False),
    Column("computed_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, default=1),  # of a day that was over; what it was before is in room_day_versions
    Column("reason", Text, nullable=False, default=""),
    Column("policy_sha256", String(64), nullable=False, default=""),
    Column("software", String(32), nullable=False, default=""),
)

# What a room's day said before it was computed anew: late readings, another calibration, another policy (R2).
room_day_versions = Table(
    "room_day_versions",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("figures", JSON, nullable=False),
    Column("replaced_at", BigInteger, nullable=False),
)

# What a process must find again after a restart, committed with the transitions it belongs to: cursors, folded states.
kept = Table(
    "kept",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# districts: those an account is limited to, none for the whole site. identity: ``issuer subject`` of a provider that signs it in.
accounts = Table(
    "accounts",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("password_hash", String(255)),
    Column("identity", String(512), unique=True),
    Column("role", String(32), nullable=False),
    Column("districts", JSON, nullable=False, default=list),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("disabled", Boolean, nullable=False, default=False),
)
sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account", ForeignKey("accounts.name"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)
# One-time links: set-up of the first account, the demo's visitor.
invitations = Table(
    "invitations",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account", String(128), nullable=False),
    Column("role", String(32), nullable=False),
    Column("districts", JSON, nullable=False, default=list),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)
# Keys of other systems to the REST API; only a hash of each is kept.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("districts", JSON, nullable=False, default=list),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
)
audit = Table(
    "audit",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("who", String(128), nullable=False, index=True),
    Column("action", String(64), nullable=False),
    Column("subject", String(160), nullable=False, default=""),
    Column("before", JSON),
    Column("after", JSON),
    Column("refused", Boolean, nullable=False, default=False),
)

_closed = complaint_transitions.c.to_state == "closed"
Index("ix_complaint_transitions_closed", complaint_transitions.c.at, sqlite_where=_closed, postgresql_where=_closed)
Index("ix_complaint_deeds_kind_at", complaint_deeds.c.kind, complaint_deeds.c.at)
Index("ix_outages_state_subject", outages.c.state, outages.c.subject)
Index("ix_outages_subject_opened_at", outages.c.subject, outages.c.opened_at)  # not unique: late readings may move one past another
