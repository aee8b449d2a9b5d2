"""What other systems do with notices (R5): prepare, edit, publish, amend, close; each on the version that was read (If-Match)."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from pydantic import Field

from compliance.notice_text import Said
from dashboard.actions.notices import WORDS_MOST, amend_notice, close_notice, edit_notice, prepare_notice, publish_notice
from dashboard.api.answers import check_seen
from dashboard.api.asked import Body, Call, IfMatch, Instant, NoticeWriter, Plain, RowId, Text
from dashboard.api.record_routes import NOTICE, OUTAGE, row_of
from dashboard.api.shapes import answers

router = APIRouter()


class Words(Body):
    """What is said for a notice, as a whole: what is left out is not said. `cause` replaces what was found."""

    cause_zh: Text = Field("", max_length=WORDS_MOST)
    cause_en: Text = Field("", max_length=WORDS_MOST)
    measures_zh: Text = Field("", max_length=WORDS_MOST)
    measures_en: Text = Field("", max_length=WORDS_MOST)
    remark_zh: Text = Field("", max_length=WORDS_MOST)
    remark_en: Text = Field("", max_length=WORDS_MOST)
    expected_at: Instant | None = Field(None, description="When heat is expected back.")

    def said(self, call: Call) -> Said:
        """As the records keep it."""
        words = {name: getattr(self, name).strip() for name in Words.model_fields if name != "expected_at"}
        return Said(**words, expected_at=call.instant_ms("expected_at", self.expected_at))


class Amendment(Words):
    """The words, and why they change, for the records."""

    why: Text = Field("", max_length=2_000)


class Ending(Body):
    """How a notice ends: restored (of a planned stop planned_over), or correction: it is withdrawn."""

    closing: Plain
    why: Text = Field(min_length=1, max_length=2_000)


@router.post("/outages/{row_id}/notice", summary="Prepare the notice of an open outage (scope notices)", responses=answers("OutageInFull"))
def prepare(call: NoticeWriter, row_id: RowId, words: Words, if_match: IfMatch = None) -> Response:
    """What the notice will say when it falls due, to the second. If-Match is the outage's ETag."""
    town, who, said = call.town, call.key.actor("notices"), words.said(call)
    outage = row_of(call, OUTAGE, row_id)
    check_seen(if_match, outage, needed=True)
    call.do("the notice is not prepared", lambda: prepare_notice(town.records, who, row_id, Said.of(outage["said"]), said, town.now_ms()))
    return call.answer(row_of(call, OUTAGE, row_id))


@router.post("/notices/{row_id}/publish", summary="Publish a due notice (scope notices)", responses=answers("NoticeInFull"))
def publish(call: NoticeWriter, row_id: RowId, if_match: IfMatch = None) -> Response:
    """Of a site that publishes after review. If-Match is the notice's ETag."""
    town, who = call.town, call.key.actor("notices")
    return _done(
        call,
        row_id,
        if_match,
        "the notice is not published",
        lambda version: publish_notice(town.records, who, row_id, version, town.now_ms()),
    )


@router.post("/notices/{row_id}/edit", summary="Change the words of a due notice (scope notices)", responses=answers("NoticeInFull"))
def edit(call: NoticeWriter, row_id: RowId, words: Words, if_match: IfMatch = None) -> Response:
    """It stays due. If-Match is the notice's ETag."""
    town, who, said = call.town, call.key.actor("notices"), words.said(call)
    deed = lambda version: edit_notice(town.records, who, town.site, row_id, version, said, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the words are not changed", deed)


@router.post("/notices/{row_id}/amend", summary="Amend a published notice (scope notices)", responses=answers("NoticeInFull"))
def amend(call: NoticeWriter, row_id: RowId, words: Amendment, if_match: IfMatch = None) -> Response:
    """Users are told at once; what it said before is kept. If-Match is the notice's ETag."""
    town, who, said = call.town, call.key.actor("notices"), words.said(call)
    deed = lambda version: amend_notice(town.records, who, town.site, row_id, version, said, words.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the notice is not amended", deed)


@router.post("/notices/{row_id}/close", summary="Close or withdraw a notice (scope notices)", responses=answers("NoticeInFull"))
def close(call: NoticeWriter, row_id: RowId, ending: Ending, if_match: IfMatch = None) -> Response:
    """A due notice that is withdrawn was seen by nobody, and nobody is told. If-Match is the notice's ETag."""
    town, who = call.town, call.key.actor("notices")
    deed = lambda version: close_notice(town.records, who, town.site, row_id, version, ending.closing, ending.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the notice is not closed", deed)


def _done(call: Call, row_id: int, if_match: str | None, refused: str, deed: Callable[[int], None]) -> Response:
    """Does it on the version that the caller read."""
    seen = row_of(call, NOTICE, row_id)
    check_seen(if_match, seen, needed=True)
    call.do(refused, lambda: deed(seen["version"]))
    return call.answer(row_of(call, NOTICE, row_id))
