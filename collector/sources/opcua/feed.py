"""What an OPC UA server notifies: one subscription, the items it watches, and the loop that asks it for news.

publish request ──▶ PublishResponse ──▶ wire (or asyncua, where it must) ──▶ heard ──▶ the next request, which acknowledges
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import ceil
from typing import NamedTuple

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import BadTimeout
from numpy.typing import NDArray

from collector.sources.opcua.exchange import ask, errors
from collector.sources.opcua.values import Answer, answer_of
from collector.sources.opcua.wire import Publication, publication
from domain.errors import SourceError

NOTIFIED_AT_ONCE = 1000
KEEPALIVE_S = 5.0  # how often a quiet server says that it is there, at least
LIFETIME_S = 60.0  # for how long it keeps a subscription whose client says nothing

_NO_FILTER = frozenset(
    {
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadDeadbandFilterInvalid,
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadMonitoredItemFilterUnsupported,
    }
)


class Notified(NamedTuple):
    """What one notification says: for each of its values, the handle the item was watched under."""

    handles: NDArray[np.uint32]
    answer: Answer


Heard = Callable[[Notified], Awaitable[None]]


class Wish(NamedTuple):
    """How one node is to be watched: under which handle, how often it is sampled (wall seconds), how many samples the server keeps."""

    handle: int
    node: ua.NodeId
    sampling_s: float
    queue: int
    deadband: float


class Feed:
    """One subscription. ``heard_at`` is when the server last published anything, if only that it is there (the loop's seconds);
    ``notified`` counts values; ``ended`` says why the server gives no more; ``asking`` is the loop that asks it for news.
    """

    def __init__(self, client: Client, items_at_once: int, heard: Heard) -> None:
        self._client = client
        self._items_at_once = items_at_once
        self._heard = heard
        self._subscription_id = 0
        self._items: dict[int, int] = {}
        self.asking: asyncio.Task[None] | None = None
        self.heard_at = asyncio.get_running_loop().time()
        self.silence_s = 0.0
        self.notified = 0
        self.ended = ""

    async def open(self, publishing_s: float) -> None:
        """Creates the subscription and begins to ask for news; its silence is worrying after ``silence_s``."""
        keepalives = max(1, round(KEEPALIVE_S / publishing_s))
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=ua.Double(publishing_s * 1000),
            RequestedMaxKeepAliveCount=ua.UInt32(keepalives),
            RequestedLifetimeCount=ua.UInt32(max(3 * keepalives, ceil(LIFETIME_S / publishing_s))),
            MaxNotificationsPerPublish=ua.UInt32(NOTIFIED_AT_ONCE),
            PublishingEnabled=True,
        )
        body = await ask(self._client, ua.CreateSubscriptionRequest(Parameters=parameters))
        response = struct_from_binary(ua.CreateSubscriptionResponse, Buffer(body))
        response.ResponseHeader.ServiceResult.check()
        made = response.Parameters
        self._subscription_id = made.SubscriptionId
        self.silence_s = max(1.0, 3 * made.RevisedMaxKeepAliveCount * made.RevisedPublishingInterval / 1000)
        self.asking = asyncio.create_task(self._ask_for_news(), name="opcua feed")

    def check(self) -> None:
        """Raises what ended the asking, where that was a fault of our own."""
        if self.asking is not None and self.asking.done() and not self.asking.cancelled():
            self.asking.result()

    def close(self) -> None:
        """Asks no more."""
        if self.asking is not None:
            self.asking.cancel()

    async def watch(self, wishes: Sequence[Wish]) -> dict[int, str]:
        """Has the server watch these nodes; returns by handle why some are not, in words. A node that takes no deadband gets none."""
        refused: dict[int, str] = {}
        async with errors("watch"):
            for at in range(0, len(wishes), self._items_at_once):
                refused |= await self._create(wishes[at : at + self._items_at_once])
        return refused

    async def _create(self, wishes: Sequence[Wish]) -> dict[int, str]:
        parameters = ua.CreateMonitoredItemsParameters()
        parameters.SubscriptionId = ua.IntegerId(self._subscription_id)
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        parameters.ItemsToCreate = [_item(wish) for wish in wishes]
        refused: dict[int, str] = {}
        again = []
        for wish, result in zip(wishes, await self._client.uaclient.create_monitored_items(parameters), strict=True):
            if result.StatusCode.is_good():
                self._items[wish.handle] = result.MonitoredItemId
            elif wish.deadband and result.StatusCode.value in _NO_FILTER:
                again.append(wish._replace(deadband=0.0))
            else:
                refused[wish.handle] = result.StatusCode.name
        return refused | await self._create(again) if again else refused

    async def forget(self, handles: Sequence[int]) -> None:
        """Has the server watch these no longer; one it does not know is no error."""
        items = [item for handle in handles if (item := self._items.pop(handle, None)) is not None]
        if not items:
            return
        parameters = ua.DeleteMonitoredItemsParameters()
        parameters.SubscriptionId = ua.IntegerId(self._subscription_id)
        async with errors("watch no longer"):
            for at in range(0, len(items), self._items_at_once):
                parameters.MonitoredItemIds = [ua.IntegerId(item) for item in items[at : at + self._items_at_once]]
                await self._client.uaclient.delete_monitored_items(parameters)

    # ── news ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask_for_news(self) -> None:
        """Asks, hands on, and asks again. A handler that waits holds the next request back, and the server keeps what comes."""
        heard: list[ua.SubscriptionAcknowledgement] = []
        while not self.ended:
            request = ua.PublishRequest(Parameters=ua.PublishParameters(SubscriptionAcknowledgements=heard))
            heard = []
            try:
                async with errors("ask for news"):
                    with suppress(BadTimeout):  # nothing came for as long as this server lets a request wait
                        heard = await self._hand_on(await ask(self._client, request, 0))
            except SourceError as error:
                self.ended = str(error)

    async def _hand_on(self, body: bytes) -> list[ua.SubscriptionAcknowledgement]:
        """Hands on what one answer tells; returns what the next request has to acknowledge."""
        told = publication(body, 0) or _publication(body)
        if told.subscription_id != self._subscription_id:
            return []
        now = asyncio.get_running_loop().time
        self.heard_at = now()
        for handles, answer in told.parts:
            self.notified += len(handles)
            await self._heard(Notified(handles, answer))
        self.ended = told.ended
        self.heard_at = now()  # waiting for the intake must not look like a silent server
        if not told.parts:
            return []
        return [ua.SubscriptionAcknowledgement(ua.IntegerId(self._subscription_id), ua.Counter(told.sequence))]


def _publication(body: bytes) -> Publication:
    """What an answer to a publish request tells, by asyncua's decoding."""
    response = struct_from_binary(ua.PublishResponse, Buffer(body))
    response.ResponseHeader.ServiceResult.check()
    message = response.Parameters.NotificationMessage
    parts, ended = [], ""
    for part in message.NotificationData or ():
        if isinstance(part, ua.DataChangeNotification):
            handles = np.array([item.ClientHandle for item in part.MonitoredItems], np.uint32)
            parts.append((handles, answer_of([item.Value for item in part.MonitoredItems])))
        elif isinstance(part, ua.StatusChangeNotification) and part.Status is not None:
            ended = part.Status.name
    return Publication(response.Parameters.SubscriptionId, message.SequenceNumber, parts, ended)


def _item(wish: Wish) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters()
    parameters.ClientHandle = ua.IntegerId(wish.handle)
    parameters.SamplingInterval = ua.Duration(wish.sampling_s * 1000)
    parameters.QueueSize = ua.Counter(wish.queue)
    parameters.DiscardOldest = True
    if wish.deadband:
        parameters.Filter = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue,
            DeadbandType=ua.UInt32(ua.DeadbandType.Absolute),
            DeadbandValue=ua.Double(wish.deadband),
        )
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = wish.node
    request.ItemToMonitor.AttributeId = AttributeIds.Value
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters = parameters
    return request
