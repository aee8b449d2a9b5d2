"""The loop that sends: a thread beside the judging one, so that a slow channel never delays a verdict."""

import time
from collections import Counter
from collections.abc import Callable
from threading import Event

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.delivery import outbox
from compliance.delivery.sending import send
from domain.errors import DeliveryError
from domain.site import Channel, Site

PAUSE_S = 1.0
RETRY_S = 5.0

_log = structlog.get_logger()

Send = Callable[[Channel, str, str, str], str]


class Delivery:
    """The outbox of one site. ``step`` does one thing and tells whether there was any."""

    def __init__(self, site: Site, records: Engine, sender: Send = send) -> None:
        self.site = site
        self.records = records
        self.sender = sender
        self.channels = {channel.name: channel for channel in site.channels}
        self.counts: Counter[str] = Counter()
        self._silent: set[str] = set()

    def step(self, wall_ms: int) -> bool:
        """Writes what is new into the outbox, then tries one delivery that is due."""
        planned = outbox.plan(self.records, self.site)
        due = outbox.claim(self.records, list(self.channels), wall_ms)
        if due is None:
            return planned > 0
        try:
            result = self.sender(self.channels[due.channel], due.key, due.title, due.text)
        except DeliveryError as error:
            state = outbox.failed(self.records, due, wall_ms, error)
            self.counts[state] += 1
            if state != "waiting" or due.channel not in self._silent:
                _log.warning("message not delivered", channel=due.channel, key=due.key, state=state, reason=str(error))
            self._silent.add(due.channel)
        else:
            outbox.delivered(self.records, due, wall_ms, result)
            self.counts["sent"] += 1
            if due.channel in self._silent:
                self._silent.discard(due.channel)
                _log.info("channel takes messages again", channel=due.channel)
        return True


def run_delivery(site: Site, records: Engine, stop: Event) -> None:
    """Delivers until ``stop`` is set. Without channels, too, what is decided is marked: a channel added later gets none of the past."""
    delivery = Delivery(site, records)
    while not stop.is_set():
        try:
            worked = delivery.step(time.time_ns() // 1_000_000)
        except SQLAlchemyError as error:
            _log.warning("the records can't be read; messages wait", reason=str(error).splitlines()[0])
            stop.wait(RETRY_S)
            continue
        except Exception:
            _log.exception("delivery failed; going on")
            worked = False
        if not worked:
            stop.wait(PAUSE_S)
