"""The first layout."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("identity", sa.String(length=512), nullable=True),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("districts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
        sa.UniqueConstraint("identity", name=op.f("uq_accounts_identity")),
    )
    op.create_table(
        "alarms",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("station_id", sa.String(length=128), nullable=True),
        sa.Column("building_id", sa.String(length=128), nullable=True),
        sa.Column("pending_at", sa.BigInteger(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("cleared_reason", sa.String(length=32), nullable=True),
        sa.Column("no_data_at", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("limit_value", sa.Float(), nullable=True),
        sa.Column("policy", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=128), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("shelved_until", sa.BigInteger(), nullable=True),
        sa.Column("shelved_by", sa.String(length=128), nullable=True),
        sa.Column("shelved_reason", sa.Text(), nullable=True),
        sa.Column("suppressed_by", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("kind", "subject", "raised_at", name=op.f("uq_alarms_kind_subject_raised_at")),
    )
    op.create_index(op.f("ix_alarms_building_id"), "alarms", ["building_id"])
    op.create_index(op.f("ix_alarms_cleared_at"), "alarms", ["cleared_at"])
    op.create_index(op.f("ix_alarms_raised_at"), "alarms", ["raised_at"])
    op.create_index("ix_alarms_kind_cleared_at", "alarms", ["kind", "cleared_at"])
    op.create_index(
        "ix_alarms_no_data_at",
        "alarms",
        ["no_data_at"],
        sqlite_where=sa.text("no_data_at IS NOT NULL"),
        postgresql_where=sa.text("no_data_at IS NOT NULL"),
    )
    op.create_index(
        "ix_alarms_shelved_until",
        "alarms",
        ["shelved_until"],
        sqlite_where=sa.text("shelved_until IS NOT NULL"),
        postgresql_where=sa.text("shelved_until IS NOT NULL"),
    )
    op.create_index(op.f("ix_alarms_state"), "alarms", ["state"])
    op.create_index(op.f("ix_alarms_station_id"), "alarms", ["station_id"])
    op.create_table(
        "api_keys",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("districts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_keys_token_hash")),
    )
    op.create_table(
        "audit",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_index(op.f("ix_audit_who"), "audit", ["who"])
    op.create_table(
        "escalations",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("duty", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.String(length=32), nullable=False),
        sa.Column("queued", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
        sa.UniqueConstraint("subject", "duty", "started_at", "step", name=op.f("uq_escalations_subject_duty_started_at_step")),
    )
    op.create_index(op.f("ix_escalations_at"), "escalations", ["at"])
    op.create_index(
        "ix_escalations_not_queued",
        "escalations",
        ["id"],
        sqlite_where=sa.text("queued IS false"),
        postgresql_where=sa.text("queued IS false"),
    )
    op.create_index(op.f("ix_escalations_started_at"), "escalations", ["started_at"])
    op.create_index(op.f("ix_escalations_subject"), "escalations", ["subject"])
    op.create_table(
        "events",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("which", sa.String(length=32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("queued", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("event", "subject", "at", "which", name="uq_events_event_subject_at_which"),
    )
    op.create_index(op.f("ix_events_at"), "events", ["at"])
    op.create_index(
        "ix_events_not_queued",
        "events",
        ["id"],
        sqlite_where=sa.text("queued IS false AND event = 'notice.warning'"),
        postgresql_where=sa.text("queued IS false AND event = 'notice.warning'"),
    )
    op.create_index(op.f("ix_events_subject"), "events", ["subject"])
    op.create_table(
        "invitations",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("districts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_invitations")),
    )
    op.create_table(
        "filed_curves",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("station_id", sa.String(length=128), nullable=False),
        sa.Column("effective_from", sa.BigInteger(), nullable=False),
        sa.Column("outdoor_c", sa.JSON(), nullable=False),
        sa.Column("supply_c", sa.JSON(), nullable=False),
        sa.Column("offsets_k", sa.JSON(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("filed_by", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_filed_curves")),
        sa.UniqueConstraint("station_id", "effective_from", name=op.f("uq_filed_curves_station_id_effective_from")),
    )
    op.create_table(
        "kept",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_kept")),
    )
    op.create_table(
        "outages",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("station_id", sa.String(length=128), nullable=True),
        sa.Column("source_id", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("started_earliest", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("parent_id", _KEY, nullable=True),
        sa.Column("stations", sa.JSON(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["outages.id"], name=op.f("fk_outages_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
    )
    op.create_index(op.f("ix_outages_ended_at"), "outages", ["ended_at"])
    op.create_index(op.f("ix_outages_source_id"), "outages", ["source_id"])
    op.create_index("ix_outages_state_subject", "outages", ["state", "subject"])
    op.create_index("ix_outages_subject_opened_at", "outages", ["subject", "opened_at"])
    op.create_index(op.f("ix_outages_station_id"), "outages", ["station_id"])
    op.create_index(op.f("ix_outages_subject"), "outages", ["subject"])
    op.create_table(
        "calibrations",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("instrument", sa.String(length=128), nullable=False),
        sa.Column("calibrated_on", sa.String(length=10), nullable=False),
        sa.Column("calibrated_until", sa.String(length=10), nullable=False),
        sa.Column("certificate", sa.String(length=128), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("registered_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibrations")),
        sa.UniqueConstraint("instrument", "calibrated_on", name=op.f("uq_calibrations_instrument_calibrated_on")),
    )
    op.create_table(
        "complaints",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("station_id", sa.String(length=128), nullable=True),
        sa.Column("building_id", sa.String(length=128), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("merged_into", _KEY, nullable=True),
        sa.Column("outage_id", _KEY, nullable=True),
        sa.Column("assignee", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=128), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reporter", sa.String(length=128), nullable=False),
        sa.Column("contact", sa.String(length=128), nullable=False),
        sa.Column("visit_id", sa.BigInteger(), nullable=True),
        sa.Column("proposed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["merged_into"], ["complaints.id"], name=op.f("fk_complaints_merged_into")),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("fk_complaints_outage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_complaints_source_external_id")),
        sa.UniqueConstraint("visit_id", name=op.f("uq_complaints_visit_id")),
    )
    op.create_index(
        "uq_complaints_sensor_episode",
        "complaints",
        ["kind", "subject", "opened_at"],
        unique=True,
        sqlite_where=sa.text("origin = 'sensor'"),
        postgresql_where=sa.text("origin = 'sensor'"),
    )
    op.create_index(op.f("ix_complaints_building_id"), "complaints", ["building_id"])
    op.create_index(op.f("ix_complaints_merged_into"), "complaints", ["merged_into"])
    op.create_index(op.f("ix_complaints_opened_at"), "complaints", ["opened_at"])
    op.create_index(op.f("ix_complaints_outage_id"), "complaints", ["outage_id"])
    op.create_index(op.f("ix_complaints_state"), "complaints", ["state"])
    op.create_index(op.f("ix_complaints_station_id"), "complaints", ["station_id"])
    op.create_index(op.f("ix_complaints_subject"), "complaints", ["subject"])
    op.create_table(
        "outage_versions",
        sa.Column("outage_id", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("fk_outage_versions_outage_id")),
        sa.PrimaryKeyConstraint("outage_id", "version", name=op.f("pk_outage_versions")),
    )
    op.create_table(
        "out_of_service",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("returned_at", sa.BigInteger(), nullable=True),
        sa.Column("returned_by", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_out_of_service")),
    )
    op.create_index(op.f("ix_out_of_service_subject"), "out_of_service", ["subject"])
    op.create_table(
        "planned_stops",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("station_id", sa.String(length=128), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_by", sa.String(length=128), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_planned_stops")),
    )
    op.create_index(
        "uq_planned_stops_standing",
        "planned_stops",
        ["station_id", "from_at"],
        unique=True,
        sqlite_where=sa.text("cancelled_at IS NULL"),
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.create_table(
        "policies",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
    )
    op.create_table(
        "room_day_versions",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("room_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "room_id", "version", name=op.f("pk_room_day_versions")),
    )
    op.create_table(
        "room_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("room_id", sa.String(length=128), nullable=False),
        sa.Column("building_id", sa.String(length=128), nullable=True),
        sa.Column("station_id", sa.String(length=128), nullable=True),
        sa.Column("judged_ms", sa.BigInteger(), nullable=False),
        sa.Column("compliant_ms", sa.BigInteger(), nullable=False),
        sa.Column("breach_ms", sa.BigInteger(), nullable=False),
        sa.Column("unknown_ms", sa.BigInteger(), nullable=False),
        sa.Column("breach_day_ms", sa.BigInteger(), nullable=False),
        sa.Column("breach_night_ms", sa.BigInteger(), nullable=False),
        sa.Column("deficit_kh", sa.Float(), nullable=False),
        sa.Column("longest_breach_ms", sa.BigInteger(), nullable=False),
        sa.Column("min_c", sa.Float(), nullable=True),
        sa.Column("max_c", sa.Float(), nullable=True),
        sa.Column("mean_c", sa.Float(), nullable=True),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("readings_breach", sa.Integer(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("software", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("day", "room_id", name=op.f("pk_room_days")),
    )
    op.create_table(
        "alarm_transitions",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("alarm_id", _KEY, nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name=op.f("fk_alarm_transitions_alarm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_transitions")),
    )
    op.create_index(op.f("ix_alarm_transitions_alarm_id"), "alarm_transitions", ["alarm_id"])
    op.create_table(
        "complaint_rooms",
        sa.Column("complaint_id", _KEY, nullable=False),
        sa.Column("room_id", sa.String(length=128), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("attached_at", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_complaint_rooms_complaint_id")),
        sa.PrimaryKeyConstraint("complaint_id", "room_id", "raised_at", name=op.f("pk_complaint_rooms")),
    )
    op.create_table(
        "complaint_transitions",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("complaint_id", _KEY, nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_complaint_transitions_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint_transitions")),
    )
    op.create_index(op.f("ix_complaint_transitions_complaint_id"), "complaint_transitions", ["complaint_id"])
    op.create_index(
        "ix_complaint_transitions_closed",
        "complaint_transitions",
        ["at"],
        sqlite_where=sa.text("to_state = 'closed'"),
        postgresql_where=sa.text("to_state = 'closed'"),
    )
    op.create_table(
        "notices",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("outage_id", _KEY, nullable=True),
        sa.Column("planned_stop", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.String(length=128), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("stations", sa.JSON(), nullable=False),
        sa.Column("households", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("closing_zh", sa.Text(), nullable=False),
        sa.Column("closing_en", sa.Text(), nullable=False),
        sa.Column("closing", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("fk_notices_outage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("outage_id", name=op.f("uq_notices_outage_id")),
        sa.UniqueConstraint("planned_stop", name=op.f("uq_notices_planned_stop")),
    )
    op.create_index(op.f("ix_notices_due_at"), "notices", ["due_at"])
    op.create_table(
        "outage_transitions",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("outage_id", _KEY, nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("fk_outage_transitions_outage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage_transitions")),
    )
    op.create_index(op.f("ix_outage_transitions_outage_id"), "outage_transitions", ["outage_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("channel", sa.String(length=128), nullable=False),
        sa.Column("notice_id", _KEY, nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("first_tried_at", sa.BigInteger(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_deliveries_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("key", name=op.f("uq_deliveries_key")),
    )
    op.create_index(op.f("ix_deliveries_notice_id"), "deliveries", ["notice_id"])
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"])
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_sessions_account")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_account"), "sessions", ["account"])
    op.create_table(
        "notice_transitions",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("notice_id", _KEY, nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("closing_zh", sa.Text(), nullable=False),
        sa.Column("closing_en", sa.Text(), nullable=False),
        sa.Column("closing", sa.String(length=32), nullable=False),
        sa.Column("queued", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_notice_transitions_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_transitions")),
        sa.UniqueConstraint("notice_id", "version", name=op.f("uq_notice_transitions_notice_id_version")),
    )
    op.create_index(
        "ix_notice_transitions_not_queued",
        "notice_transitions",
        ["id"],
        sqlite_where=sa.text("queued IS false"),
        postgresql_where=sa.text("queued IS false"),
    )
    op.create_index(op.f("ix_notice_transitions_notice_id"), "notice_transitions", ["notice_id"])

    op.create_table(
        "complaint_deeds",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("complaint_id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_complaint_deeds_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint_deeds")),
    )
    op.create_index(op.f("ix_complaint_deeds_complaint_id"), "complaint_deeds", ["complaint_id"])
    op.create_index("ix_complaint_deeds_kind_at", "complaint_deeds", ["kind", "at"])
    op.create_table(
        "visits",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("room_id", sa.String(length=128), nullable=False),
        sa.Column("measured_at", sa.BigInteger(), nullable=False),
        sa.Column("measured_by", sa.String(length=128), nullable=False),
        sa.Column("instrument", sa.String(length=128), nullable=False),
        sa.Column("calibrated_on", sa.String(length=10), nullable=False),
        sa.Column("calibrated_until", sa.String(length=10), nullable=False),
        sa.Column("windows_shut_min", sa.Float(), nullable=False),
        sa.Column("at_centre", sa.Boolean(), nullable=False),
        sa.Column("height_m", sa.Float(), nullable=False),
        sa.Column("readings_c", sa.JSON(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("complaint_id", _KEY, nullable=True),
        sa.Column("corrects", _KEY, nullable=True),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("filed_by", sa.String(length=128), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_visits_complaint_id")),
        sa.ForeignKeyConstraint(["corrects"], ["visits.id"], name=op.f("fk_visits_corrects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sa.UniqueConstraint("hash", name=op.f("uq_visits_hash")),
        sa.UniqueConstraint("prev_hash", name=op.f("uq_visits_prev_hash")),
    )
    op.create_index(op.f("ix_visits_complaint_id"), "visits", ["complaint_id"])
    op.create_index(op.f("ix_visits_measured_at"), "visits", ["measured_at"])
    op.create_index(op.f("ix_visits_room_id"), "visits", ["room_id"])
    op.create_table(
        "shift_entries",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("refers_to", _KEY, nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["refers_to"], ["shift_entries.id"], name=op.f("fk_shift_entries_refers_to")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift_entries")),
        sa.UniqueConstraint("kind", "refers_to", name=op.f("uq_shift_entries_kind_refers_to")),
    )
    op.create_index(op.f("ix_shift_entries_at"), "shift_entries", ["at"])
    for table in APPEND_ONLY:
        _append_only(table)


# What was measured (R8), decided and done is evidence: the database itself refuses to alter or remove a row, whoever asks.
APPEND_ONLY = (
    "visits",
    "shift_entries",
    "events",
    "audit",
    "alarm_transitions",
    "outage_transitions",
    "notice_transitions",
    "complaint_transitions",
    "complaint_deeds",
    "escalations",
    "outage_versions",
    "room_day_versions",
)


QUEUED = ("events", "notice_transitions", "escalations")  # the outbox marks what it has taken over: that column alone may change


def _append_only(table: str) -> None:
    refusal = f"{table} are append-only: a correction is a new record that names the old one"
    update = "UPDATE"
    if table in QUEUED:
        columns = (column["name"] for column in sa.inspect(op.get_bind()).get_columns(table))
        update = f"UPDATE OF {', '.join(name for name in columns if name != 'queued')}"
    if op.get_bind().dialect.name == "sqlite":
        for name, verb in (("update", update), ("delete", "DELETE")):
            op.execute(f"CREATE TRIGGER {table}_no_{name} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{refusal}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {table}_no_change BEFORE {update} OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_append_only()")
    op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()")


def downgrade() -> None:
    """Removes them."""
    for table in (
        "shift_entries",
        "visits",
        "complaint_deeds",
        "escalations",
        "deliveries",
        "notice_transitions",
        "sessions",
        "outage_transitions",
        "outage_versions",
        "notices",
        "complaint_transitions",
        "complaint_rooms",
        "alarm_transitions",
        "room_day_versions",
        "room_days",
        "out_of_service",
        "kept",
        "filed_curves",
        "policies",
        "planned_stops",
        "api_keys",
        "invitations",
        "events",
        "complaints",
        "calibrations",
        "outages",
        "audit",
        "alarms",
        "accounts",
    ):
        op.drop_table(table)
