"""Which profiles read the messages of a topic, and what they make of one.

topic ──▶ filters of the subscriptions that match ──▶ their payload profiles ──▶ the one that finds most
   └── the last level of a profile's presence ──▶ a sensor has come or gone
"""

from collections.abc import Sequence

from collector.document import UnreadableError, parse
from collector.payload import Content, Payload
from collector.sources.mqtt import Message, matches
from collector.sparkplug import Births, NotSparkplugError
from domain.errors import ConfigError, Mistake
from domain.profile import MqttProfile
from domain.site import Broker, Site

REMEMBERED = 4_096  # topics


class Topics:
    """The subscriptions of one broker."""

    def __init__(self, broker: Broker, site: Site) -> None:
        """Raises ConfigError for a profile that is none of MQTT."""
        self._payloads = _payloads_of(broker, site)
        self._presences = [(presence, payload) for topic, payload in self._payloads if (presence := _presence_topic(topic, payload))]
        self._found: dict[str, tuple[Payload, ...]] = {}

    def wanted(self) -> dict[str, bool]:
        """The filters to subscribe to, and whether retained messages are wanted."""
        wanted: dict[str, bool] = {}
        for topic, payload in self._payloads:
            wanted[topic] = wanted.get(topic, False) or not payload.profile.ignore_retained
        wanted.update((topic, True) for topic, _ in self._presences)
        return wanted

    def payloads(self, topic: str) -> tuple[Payload, ...]:
        """The readers of this topic's messages."""
        found = self._found.get(topic)
        if found is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = tuple(payload for topic_filter, payload in self._payloads if matches(topic_filter, topic))
            self._found[topic] = found
        return found

    def presence_in(self, message: Message) -> tuple[str, bool] | None:
        """The sensor that this message says has come or gone; None where it says nothing of that."""
        for topic, payload in self._presences:
            if message.topic.endswith(payload.profile.presence) and matches(topic, message.topic):
                return payload.presence(message.topic, message.payload)
        return None


def best(payloads: Sequence[Payload], message: Message, births: Births, away_since_ms: int | None) -> tuple[str, Content]:
    """What the profile that finds most in the message makes of it, of those that share its topic.

    Raises UnreadableError.
    """
    if not payloads:
        raise UnreadableError("no subscription for the topic")
    if payloads[0].profile.format == "sparkplug_b":
        try:
            told = births.read(message.topic, message.payload)
        except NotSparkplugError as error:
            raise UnreadableError(str(error)) from error
        return payloads[0].profile.name, payloads[0].read_told(told, message.received_ms, away_since_ms)
    document = parse(message.payload)
    if len(payloads) == 1:
        return payloads[0].profile.name, payloads[0].read(message.topic, document, message.received_ms, away_since_ms)
    readings = [(payload.profile.name, payload.read(message.topic, document, message.received_ms, away_since_ms)) for payload in payloads]
    return max(readings, key=lambda found: len(found[1].values))


def _payloads_of(broker: Broker, site: Site) -> list[tuple[str, Payload]]:
    """The readers of a broker's messages, each with its topic filter.

    Raises ConfigError for a profile that is none of MQTT.
    """
    found = []
    for subscription in broker.subscriptions:
        profile = site.profiles.get(subscription.profile)
        if not isinstance(profile, MqttProfile):
            raise _wrong(broker, "profile", subscription.profile, "the name of a profile for MQTT")
        found.append((subscription.topic, Payload(profile, site.timezone)))
    return found


def _presence_topic(topic: str, payload: Payload) -> str:
    """The filter of the messages that say whether a sensor is there; empty where a profile has none."""
    if not payload.profile.presence or topic.endswith("#"):
        return topic if payload.profile.presence else ""
    return f"{topic.rpartition('/')[0]}/{payload.profile.presence}"


def _wrong(broker: Broker, key: str, value: str, remedy: str) -> ConfigError:
    return ConfigError(Mistake("site.toml", remedy, key=f"mqtt.{broker.name}.{key}", value=value))
