"""Values decoded from the bytes at once, against asyncua's own encoding and decoding of the same."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError
from hypothesis import given
from hypothesis import strategies as st

from collector.sources.opcua.feed import Feed, Notified
from collector.sources.opcua.values import UNSTAMPED, Answer, answer_of
from collector.sources.opcua.wire import publication, read_answer
from domain.reading import Quality

AT = datetime(2026, 12, 1, 6, tzinfo=UTC)
FIRST = datetime(1601, 1, 1, tzinfo=UTC)

whole = {
    ua.VariantType.SByte: (-(2**7), 2**7 - 1),
    ua.VariantType.Byte: (0, 2**8 - 1),
    ua.VariantType.Int16: (-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: (0, 2**16 - 1),
    ua.VariantType.Int32: (-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: (0, 2**32 - 1),
    ua.VariantType.Int64: (-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: (0, 2**64 - 1),
}
numbers = st.one_of(
    st.floats().map(lambda value: ua.Variant(value, ua.VariantType.Double)),
    st.floats(width=32).map(lambda value: ua.Variant(value, ua.VariantType.Float)),
    st.booleans().map(lambda value: ua.Variant(value, ua.VariantType.Boolean)),
    st.just(ua.Variant(None, ua.VariantType.Null)),
    *(st.integers(*ends).map(lambda value, kind=kind: ua.Variant(value, kind)) for kind, ends in whole.items()),  # type: ignore[misc]
)
others = st.one_of(
    st.text(max_size=5).map(lambda value: ua.Variant(value, ua.VariantType.String)),
    st.lists(st.floats(allow_nan=False), max_size=3).map(lambda value: ua.Variant(value, ua.VariantType.Double)),
    st.just(ua.Variant(AT, ua.VariantType.DateTime)),
)
instants = st.one_of(
    st.none(), st.integers(0, 600 * 365 * 86_400_000_000).map(lambda microseconds: FIRST + timedelta(microseconds=microseconds))
)
codes = st.one_of(
    st.just(0),
    st.sampled_from(
        [StatusCodes.BadNodeIdUnknown, StatusCodes.BadSensorFailure, StatusCodes.UncertainLastUsableValue, 0x0480, 0x8000_0480]
    ),
    st.integers(0, 2**32 - 1),
)


@st.composite
def data_values(draw: st.DrawFn, variants: st.SearchStrategy[ua.Variant] = numbers) -> ua.DataValue:
    value = ua.DataValue(draw(variants), SourceTimestamp=draw(instants), ServerTimestamp=draw(instants))  # type: ignore[arg-type]
    code = draw(st.one_of(st.none(), codes))
    value.StatusCode = None if code is None else ua.StatusCode(ua.UInt32(code))
    return value


def read_response(values: list[ua.DataValue], **header: Any) -> bytes:
    return struct_to_binary(ua.ReadResponse(ResponseHeader=ua.ResponseHeader(**header), Results=values))


def publish_response(parts: list[Any], subscription_id: int = 7, sequence: int = 3) -> bytes:
    message = ua.NotificationMessage(ua.Counter(sequence), NotificationData=parts)
    result = ua.PublishResult(ua.IntegerId(subscription_id), [ua.Counter(1), ua.Counter(2)], NotificationMessage=message)
    return struct_to_binary(ua.PublishResponse(Parameters=result))


def change(values: list[ua.DataValue]) -> ua.DataChangeNotification:
    return ua.DataChangeNotification([ua.MonitoredItemNotification(ua.IntegerId(900 + row), value) for row, value in enumerate(values)])


def same(found: Answer | None, wanted: Answer) -> None:
    assert found is not None
    np.testing.assert_array_equal(found.value, wanted.value)
    for name in ("quality", "stamped_ms", "missing"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name
    assert found.overflows == wanted.overflows


def by_asyncua(body: bytes) -> Answer:
    return answer_of(struct_from_binary(ua.ReadResponse, Buffer(body)).Results)


@given(st.lists(data_values(), max_size=12))
def test_any_mixture_of_numbers_is_what_asyncua_makes_of_it(values: list[ua.DataValue]) -> None:
    body = read_response(values)
    same(read_answer(body, 0), by_asyncua(body))


@given(data_values(), st.integers(1, 60), st.lists(st.floats(), min_size=60, max_size=60))
def test_values_of_one_form_are_looked_at_as_one_block(first: ua.DataValue, count: int, floats: list[float]) -> None:
    values = [ua.DataValue(ua.Variant(value), first.StatusCode, first.SourceTimestamp, first.ServerTimestamp) for value in floats[:count]]
    body = read_response(values)
    same(read_answer(body, 0), by_asyncua(body))


@given(st.lists(data_values(), max_size=5), data_values(others), st.lists(data_values(), max_size=5))
def test_what_is_no_number_is_left_to_asyncua(before: list[ua.DataValue], other: ua.DataValue, after: list[ua.DataValue]) -> None:
    assert read_answer(read_response([*before, other, *after]), 0) is None
    assert publication(publish_response([change([*before, other, *after])]), 0) is None


@given(st.lists(st.lists(data_values(), max_size=6), max_size=3))
def test_notifications_with_their_handles(parts: list[list[ua.DataValue]]) -> None:
    found = publication(publish_response([change(values) for values in parts]), 0)
    assert found is not None
    assert (found.subscription_id, found.sequence, found.ended) == (7, 3, "")
    assert [handles.tolist() for handles, _ in found.parts] == [[900 + row for row in range(len(values))] for values in parts]
    for (_, answer), values in zip(found.parts, parts, strict=True):
        same(answer, answer_of(values))


@given(st.lists(data_values(), min_size=1, max_size=4), st.data())
def test_an_answer_that_is_cut_short_is_never_read(values: list[ua.DataValue], draw: st.DataObject) -> None:
    body, told = read_response(values), publish_response([change(values)])
    assert read_answer(body[: draw.draw(st.integers(0, len(body) - 5))], 0) is None  # 4 bytes: no diagnostics
    assert publication(told[: draw.draw(st.integers(0, len(told) - 13))], 0) is None


@pytest.mark.parametrize(
    "header",
    [
        {"ServiceResult": ua.StatusCode(ua.UInt32(StatusCodes.BadTooManyOperations))},
        {"ServiceDiagnostics": ua.DiagnosticInfo(SymbolicId=ua.Int32(1))},
        {"StringTable": ["said"]},
    ],
    ids=["a bad result", "diagnostics", "strings"],
)
def test_an_answer_with_more_to_say_is_left_to_asyncua(header: dict[str, Any]) -> None:
    assert read_answer(read_response([ua.DataValue(ua.Variant(1.0))], **header), 0) is None


def test_an_answer_to_something_else_is_not_read() -> None:
    values = [ua.DataValue(ua.Variant(1.0))]
    assert read_answer(publish_response([change(values)]), 0) is None
    assert publication(read_response(values), 0) is None
    assert read_answer(struct_to_binary(ua.ServiceFault()), 0) is None


def test_picoseconds_are_left_to_asyncua() -> None:
    assert (
        read_answer(
            read_response(
                [
                    ua.DataValue(
                        ua.Variant(1.0),
                        SourceTimestamp=AT,  # type: ignore[arg-type]
                        SourcePicoseconds=ua.UInt16(5),
                    )
                ]
            ),
            0,
        )
        is None
    )


def test_times_are_cut_to_the_millisecond_and_the_beginning_of_all_ticks_is_none() -> None:
    stamps = [AT + timedelta(microseconds=1999), FIRST, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    answer = read_answer(read_response([ua.DataValue(ua.Variant(1.0), SourceTimestamp=stamp) for stamp in stamps]), 0)  # type: ignore[arg-type]
    assert answer is not None
    assert answer.stamped_ms.tolist() == [round(AT.timestamp() * 1000) + 1, UNSTAMPED, -1]


def test_a_truth_value_that_a_device_writes_as_another_byte_is_true() -> None:
    body = bytearray(read_response([ua.DataValue(ua.Variant(True))]))
    body[body.index(b"\x03\x01\x01") + 2] = 0xFF
    answer = read_answer(bytes(body), 0)
    assert answer is not None
    assert (answer.value.tolist(), answer.quality.tolist()) == ([1.0], [Quality.GOOD])


class Scripted:
    """A protocol that answers publish requests with these bodies, one after the other, and then never again."""

    def __init__(self, *bodies: bytes | Exception) -> None:
        self.uaclient = self
        self.protocol = self
        self.acknowledged: list[list[int]] = []
        self.asked_in_vain = asyncio.Event()
        self._bodies = list(bodies)

    async def send_request(self, request: Any, _timeout: float | None) -> bytes:
        if isinstance(request, ua.CreateSubscriptionRequest):
            made = ua.CreateSubscriptionResult(ua.IntegerId(7), 100.0, ua.Counter(30), ua.Counter(10))
            return struct_to_binary(ua.CreateSubscriptionResponse(Parameters=made))
        self.acknowledged.append([one.SequenceNumber for one in request.Parameters.SubscriptionAcknowledgements])
        if not self._bodies:
            self.asked_in_vain.set()
            await asyncio.Event().wait()
        body = self._bodies.pop(0)
        if isinstance(body, Exception):
            raise body
        return body


async def listen(server: Scripted) -> tuple[list[Notified], Feed]:
    """What a feed of this server heard until it asks in vain, or has ended."""
    heard: list[Notified] = []

    async def take(notified: Notified) -> None:
        heard.append(notified)

    feed = Feed(server, 1000, take)  # type: ignore[arg-type]
    await feed.open(0.1)
    waiting = asyncio.create_task(server.asked_in_vain.wait())
    assert feed.asking is not None
    await asyncio.wait([feed.asking, waiting], timeout=5, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    feed.check()
    feed.close()
    return heard, feed


async def test_a_feed_acknowledges_what_told_something_and_not_a_sign_of_life() -> None:
    text = ua.DataValue(ua.Variant("61.5"))
    server = Scripted(
        publish_response([change([ua.DataValue(ua.Variant(60.0))])], sequence=1),
        publish_response([], sequence=2),
        publish_response([change([text])], sequence=2),
        publish_response([change([ua.DataValue(ua.Variant(99.0))])], subscription_id=6),
    )
    heard, feed = await listen(server)
    assert server.acknowledged == [[], [1], [], [2], []]
    assert [(one.handles.tolist(), one.answer.value.tolist()) for one in heard] == [([900], [60.0]), ([900], [61.5])]
    assert feed.notified == 2
    assert not feed.ended


async def test_a_feed_that_the_server_ends_says_why() -> None:
    closed = ua.StatusChangeNotification(ua.StatusCode(ua.UInt32(StatusCodes.BadTimeout)))
    _, feed = await listen(Scripted(publish_response([closed])))
    assert feed.ended == "BadTimeout"


async def test_a_feed_outlives_a_request_that_timed_out_and_ends_with_its_session() -> None:
    once = publish_response([change([ua.DataValue(ua.Variant(60.0))])])
    server = Scripted(UaStatusCodeError(StatusCodes.BadTimeout), once, UaStatusCodeError(StatusCodes.BadSessionClosed))  # type: ignore[no-untyped-call]
    heard, feed = await listen(server)
    assert len(heard) == 1
    assert "session" in feed.ended.lower()


async def test_a_fault_of_our_own_in_a_feed_is_not_swallowed() -> None:
    async def broken(_notified: Notified) -> None:
        raise ZeroDivisionError

    feed = Feed(Scripted(publish_response([change([ua.DataValue(ua.Variant(60.0))])])), 1000, broken)  # type: ignore[arg-type]
    await feed.open(0.1)
    assert feed.asking is not None
    await asyncio.wait([feed.asking], timeout=5)
    with pytest.raises(ZeroDivisionError):
        feed.check()
