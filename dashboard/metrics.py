"""``/metrics``: what every component says of itself, and what stands open on the desks, in the text format of Prometheus.

``health/NAME.json`` ─▶ each number of its detail ─▶ ``keepwarm_NAME_KEY``, and how long ago it was said; where several nodes share a
site, each with the label ``node``
records, live tables ─▶ ``STANDING`` ─▶ open alarms, outages, complaints, notices, messages; how old the last judgement is

Asked with a key of the scope ``metrics`` (``keepwarm accounts key SITE prometheus --scope metrics``). There is no name, no reading and
no path in it: numbers only.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import Response

from dashboard.accounts import wall_ms
from dashboard.api.answers import ProblemError
from dashboard.api.asked import Asked
from dashboard.facts.alarms import alarm_counts
from dashboard.facts.complaints import complaint_rows, complaints_overdue
from dashboard.facts.notices import notice_rows
from dashboard.facts.outages import open_outages
from dashboard.facts.town import Town
from domain.errors import StoreError
from store.health import Health, node_of, read_health
from store.records.tables import deliveries

MEANINGS: Final = {
    "forward_autonomy_h": "Hours for which everything behind the journal may stay down before an unread reading is lost",
    "forward_full_in_h": "The same, only while it is few: the journal is filling up",
    "forward_waiting": "Readings that the history has not got yet",
    "forward_lost": "Readings ever lost because the journal was full or damaged",
    "forward_journal_bytes": "Bytes of the journal's file that hold something",
    "forward_forwarded": "Readings given to the history since the start of the process",
    "forward_quarantined": "Readings that the history's server refuses for what they are, set aside",
    "forward_expired": "Readings older than the history's retention",
    "collect_readings_committed": "Readings accepted since the start of the process",
    "collect_readings_bad": "Of these, bad by their source or by screening",
    "collect_readings_suspect": "Of these, suspect by their source or by screening",
    "collect_readings_pending": "Readings taken in and not yet on the disk",
    "collect_commits_refused": "Commits that the journal refused: the disk is full, most likely",
    "collect_sources_good": "Devices and brokers that answer",
    "collect_sources_failing": "Devices and brokers that do not",
    "collect_failures": "Exchanges with a source that failed",
    "collect_received_bytes": "Bytes of payload received from all sources",
    "collect_sensors_unknown": "Sensors that send and stand in no room",
    "watch_judged_at_ms": "Up to which instant of the site's clock everything is judged, in ms since 1970",
    "watch_behind": "Batches of the journal not judged yet",
    "collect_overruns": "Polls left out because the one before was still going on",
}


def _judged_age_s(town: Town) -> float | None:
    judged_at = town.live().judged_at_ms
    return None if judged_at is None else max(0.0, (town.now_ms() - judged_at) / 1000)


def _waiting(town: Town) -> int:
    return int(town.rows(select(func.count()).where(deliveries.c.state == "waiting"))[0][0])


# None: there is none to give at present.
STANDING: Final[dict[str, tuple[str, Callable[[Town], float | None]]]] = {
    "alarms_open": ("Alarms raised and not over", lambda town: alarm_counts(town).standing),
    "alarms_unacknowledged": (
        "Alarms that ask for somebody: not acknowledged and not silenced",
        lambda town: alarm_counts(town).unacknowledged,
    ),
    "outages_open": ("Outages that go on; the parts of a source's count with it", lambda town: len(open_outages(town))),
    "complaints_open": ("Complaints not over", lambda town: sum(not row.over for row in complaint_rows(town))),
    "complaints_overdue": ("Complaints with a duty whose time has run out", complaints_overdue),
    "notices_due": ("Notices owed and not published", lambda town: sum(row.state == "due" for row in notice_rows(town))),
    "notices_overdue": (
        "Of these, unconfirmed for longer than the site allows",
        lambda town: sum(row.waits_too_long(town) for row in notice_rows(town)),
    ),
    "deliveries_waiting": ("Messages made and not yet taken by their channel", _waiting),
    "judged_age_seconds": ("Since the instant up to which everything is judged, in seconds of the site's clock", _judged_age_s),
}
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")


class Metrics:
    """Answers with the metrics of one site."""

    def __init__(self, town: Town, asked: Asked) -> None:
        self.asked = asked
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Components(town))
        self._registry.register(Standing(town))

    async def answer(self, request: Request) -> Response:
        """The metrics of this moment, for a key that may see them."""
        try:
            await self.asked.key(request, "metrics")
        except ProblemError as problem:
            return problem.response()
        text = await asyncio.to_thread(generate_latest, self._registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


class _Components(Collector):
    def __init__(self, town: Town) -> None:
        self._town = town

    def collect(self) -> Iterator[Metric]:
        """The age of each component's last word, and each number in it."""
        found = self._town.shared.of("metrics", lambda: read_health(self._town.site.data))
        ages = GaugeMetricFamily("keepwarm_component_age_seconds", "Since a component last spoke, in life's seconds", labels=["component"])
        for health in found:
            ages.add_metric([health.component], max(0.0, (wall_ms() - health.wall_at_ms) / 1000))
        yield ages
        yield from _numbers(found)


class Standing(Collector):
    """What stands open on the desks."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def collect(self) -> Iterator[Metric]:
        """What stands open; what can't be known at present is left out, and ``keepwarm_records_up`` is 0 then."""
        up = True
        for name, (meaning, count) in STANDING.items():
            try:
                value = count(self._town)
            except StoreError:
                up = False
                continue
            if value is not None:
                yield GaugeMetricFamily(f"keepwarm_{name}", meaning, value=value)
        yield GaugeMetricFamily("keepwarm_records_up", "Whether records and live tables can be read: 1 or 0", value=up)


def _numbers(found: list[Health]) -> Iterator[Metric]:
    """A gauge for each number (or truth) at the top of a component's detail."""
    gauges: dict[str, GaugeMetricFamily] = {}
    for health in found:
        component, node = node_of(health.component)
        for key, value in sorted(health.detail.items()):
            if isinstance(value, int | float):
                name = _NO_NAME.sub("_", f"{component}_{key}")
                meaning = MEANINGS.get(name, f"{key} of {component}")
                gauge = gauges.setdefault(name, GaugeMetricFamily(f"keepwarm_{name}", meaning, labels=["node"] if node else []))
                gauge.add_metric([node] if node else [], float(value))
    yield from gauges.values()
