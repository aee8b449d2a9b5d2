"""MQTT on the wire: a persistent session that only listens; what it hears is acknowledged when it has been committed.

paho's thread ──▶ inbox (bounded: then the broker has to wait) ──▶ take ──▶ … commit … ──▶ acknowledge
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import uniform
from threading import Condition, Thread
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.backoff import Backoff
from collector.broker_tls import context_of
from collector.publication import MalformedError, Publication, name_of, publication
from domain.clock import Clock
from domain.site import Broker
from store.secrets import secret

SESSION_S = 7 * 86_400  # how long the broker keeps what we have not acknowledged
KEEPALIVE_S = 30
WINDOW_V5 = 1000
WINDOW_V311 = 20  # what brokers commonly send before they want acknowledgements
INBOX = 20_000
CLOSE_S = 0.3
SILENT_TRIES = 3  # connections that end before the broker has said a word, until an older version of the protocol is tried
SHORT_LIVES, SHORT_LIFE_S = 3, 5.0  # so many connections on end that last no longer: most likely a second client has our client_id
ANSWER_S = 5.0  # … or how long it says nothing on one that stands
NEW = "not connected yet"
QOS_2 = 2


class Message(NamedTuple):
    """One message as it came; ``received_ms`` is the clock's. ``life`` is the connection's number: its ``mid`` means nothing in another."""

    topic: str
    payload: bytes
    retained: bool
    repeated: bool
    mid: int
    qos: int
    received_ms: int
    life: int


class Client(paho.Client):
    """paho's, with one step of its own: messages with QoS 0 and 1 are taken apart without their properties.

    That halves the work. The tests hold it against paho's own, and see if a newer paho takes this step no longer.
    """

    def __init__(self, *, client_id: str, v5: bool, keep_session: bool, hear: Callable[[Publication], None]) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
            clean_session=None if v5 else not keep_session,
            manual_ack=True,
        )
        self._v5 = v5
        self.hear: Callable[[Publication], None] | None = hear

    def _handle_publish(self) -> MQTTErrorCode:
        head = self._in_packet["command"]
        if head >> 1 & 3 == QOS_2 or self.hear is None:  # not asked for; its two more steps are paho's, which calls on_message
            return super()._handle_publish()
        try:
            self.hear(publication(head, self._in_packet["packet"], properties=self._v5))
        except MalformedError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class Listener:
    """The connection to one broker. ``heard`` is called in another thread when messages or a change of state wait to be taken.

    ``connected`` (the subscriptions stand) and ``trouble`` tell the state; ``unheard`` are the filters that the broker refuses, and why;
    ``life`` counts the connections, ``resumed`` says whether the broker had kept our
    session; ``window`` how many messages the broker sends before it wants acknowledgements. ``refused``: the broker lets us not in.
    ``taken_over`` counts how often it seems that another client of our name has pushed us out.
    """

    def __init__(
        self, broker: Broker, topics: Mapping[str, bool], clock: Clock, heard: Callable[[], None], *, keep_session: bool = True
    ) -> None:
        """``topics``: filters, and whether retained messages are wanted. Without ``keep_session`` the broker forgets us when we leave.

        Raises ConfigError when a secret or a certificate can't be read.
        """
        self._topics = dict(topics)
        self._clock = clock
        self._heard = heard
        self._inbox: deque[Message] = deque()
        self._room = Condition()
        self._closing = False
        self._v5 = broker.protocol == "5"
        self.window = WINDOW_V5 if self._v5 else WINDOW_V311
        self.life = 0
        self.resumed = False
        self.connected = False
        self._open = False
        self._asked: dict[int, str] = {}
        self.unheard: dict[str, str] = {}
        self.refused = False
        self._refuses_v5 = False
        self._opened_at = 0.0
        self.taken_over = 0
        self._connected_at = 0.0
        self._short_lives = 0
        self.trouble = NEW
        self._silent_tries = 0
        self._keep_session = keep_session
        self._client_id = broker.client_id
        self._client = self._make(broker)

    def _make(self, broker: Broker) -> Client:
        client = Client(client_id=broker.client_id, v5=self._v5, keep_session=self._keep_session, hear=self._on_heard)
        if broker.username:
            client.username_pw_set(broker.username, secret(broker.password) or None)
        url = urlsplit(broker.url)
        if url.scheme == "mqtts":
            client.tls_set_context(context_of(broker))
        backoff = Backoff.at_pace(self._clock)
        client.reconnect_delay_set(uniform(0.5, 1.0) * backoff.first_s, uniform(0.8, 1.0) * backoff.most_s)  # type: ignore[arg-type]
        client.connect_timeout = 5.0
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        host, port = url.hostname or "localhost", url.port or (8883 if url.scheme == "mqtts" else 1883)
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_S if self._keep_session else 0
            properties.ReceiveMaximum = WINDOW_V5
            client.connect_async(host, port, KEEPALIVE_S, clean_start=not self._keep_session, properties=properties)
        else:
            client.connect_async(host, port, KEEPALIVE_S)
        return client

    @property
    def outdated(self) -> bool:
        """Whether the broker seems to speak MQTT 3.1.1 only: it says so, or says nothing at all, from the start."""
        silent = self._silent_tries >= SILENT_TRIES or (self._opened_at > 0 and monotonic() - self._opened_at > ANSWER_S)
        return self._v5 and (self._refuses_v5 or (not self.life and silent))

    # ── the event loop's side ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Starts connecting, and connects again whenever the connection is lost."""
        self._client.loop_start()

    def take(self, most: int) -> list[Message]:
        """The oldest messages that wait."""
        with self._room:
            taken = [self._inbox.popleft() for _ in range(min(most, len(self._inbox)))]
            self._room.notify_all()
        return taken

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tells the broker that these are safe. Those of an earlier connection are left: the broker sends them again."""
        with self._room:
            for message in messages:
                if self._open and message.life == self.life and message.qos:
                    self._client.ack(message.mid, message.qos)

    def deafen(self) -> None:
        """Takes in nothing more; acknowledging goes on."""
        with self._room:
            self._closing = True
            self._room.notify_all()

    def close(self) -> None:
        """Ends the connection; the session stays with the broker. Blocks for a moment.

        A thread that is just waiting to connect again sees the end only when it wakes: it is left to itself.
        """
        self.deafen()
        self._client.disconnect()
        ending = Thread(target=self._end, daemon=True)
        ending.start()
        ending.join(CLOSE_S)

    def _end(self) -> None:
        """Waits for paho's thread, then lets go of the callbacks: in a ring with its owner a client leaves its sockets to chance."""
        client = self._client
        client.loop_stop()
        client.on_connect = client.on_disconnect = client.on_connect_fail = client.on_subscribe = None
        client.on_message = client.on_socket_open = None
        client.hear = None

    # ── paho's thread ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_socket_open(self, _client: paho.Client, _user: Any, _socket: Any) -> None:
        self._opened_at = monotonic()

    def _on_connect(
        self, client: paho.Client, _user: Any, flags: paho.ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._silent_tries, self._opened_at = 0, 0.0
        if reason.is_failure:
            self.trouble = f"refused: {reason}"
            self._refuses_v5 = str(reason) == "Unsupported protocol version"
            self.refused = True  # the last of the three: the event's loop looks at it first
            self._heard()
            return
        self.refused = False
        with self._room:
            self.life += 1
            self.resumed = flags.session_present
            self._open = True
            self._connected_at = monotonic()
        self._asked, self.unheard = {}, {}
        # Also into a session that is still there: the site may have new filters since.
        for topic, retained in self._topics.items():
            if self._v5:
                handling = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB if retained else SubscribeOptions.RETAIN_DO_NOT_SEND
                _, mid = client.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=handling))
            else:
                _, mid = client.subscribe(topic, qos=1)
            if mid is not None:
                self._asked[mid] = topic

    def _on_subscribe(
        self, _client: paho.Client, _user: Any, mid: int, reasons: Sequence[ReasonCode], _properties: Properties | None
    ) -> None:
        """The broker's answer to one filter. Without all of them we are not connected: it may refuse each, and sends nothing then."""
        topic = self._asked.pop(mid, "")
        if reasons and reasons[0].is_failure:
            self.unheard[topic] = str(reasons[0])
        if self._asked:
            return
        with self._room:
            self.refused = len(self.unheard) == len(self._topics) > 0
            self.connected = self._open and not self.refused
            told = ", ".join(f"{unheard}: {reason}" for unheard, reason in self.unheard.items())
            self.trouble = f"the broker refuses what we subscribe to: {told}" if self.refused else ""
        self._heard()

    def _on_disconnect(
        self, _client: paho.Client, _user: Any, _flags: paho.DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._room:
            if self._open:  # else a refusal has been named already
                self._short_lives = self._short_lives + 1 if monotonic() - self._connected_at < SHORT_LIFE_S else 0
                taken = str(reason) == "Session taken over" or self._short_lives >= SHORT_LIVES
                self.taken_over += taken
                hint = f"; does another client use the client_id {self._client_id}? Each needs its own" if taken else ""
                self._open = self.connected = False
                self.trouble = f"disconnected: {_words_of(reason)}{hint}"
            elif not self.refused:
                self._silent_tries += 1
                self.trouble = f"the broker ends the connection without an answer: {reason}"
        self._heard()

    def _on_connect_fail(self, _client: paho.Client, _user: Any) -> None:
        reason = sys.exception()  # paho calls this while it handles the error, and does not pass it on
        self.trouble = f"no connection: {reason}" if reason is not None else "no connection"
        self._heard()

    def _on_message(self, _client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        """With QoS 2: what waits for our name from a time in which somebody asked for that."""
        topic = name_of(message._topic)  # noqa: SLF001  its property raises where it is not UTF-8
        self._on_heard(Publication(topic, bytes(message.payload), message.retain, message.dup, message.mid, message.qos))

    def _on_heard(self, found: Publication) -> None:
        received_ms = self._clock.now_ms()
        with self._room:
            while len(self._inbox) >= INBOX and not self._closing:
                self._room.wait(1.0)
            if self._closing:
                return
            self._inbox.append(Message(*found, received_ms, self.life))
            first = len(self._inbox) == 1
        if first:
            self._heard()


def _words_of(reason: ReasonCode) -> str:
    """The broker's reason; paho calls it unspecified where the connection went without one."""
    return "the connection was lost" if str(reason) == "Unspecified error" else str(reason)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is one of a filter's."""
    return bool(paho.topic_matches_sub(topic_filter, topic))
