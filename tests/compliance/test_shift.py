"""The shift log, read: who is on duty, what is carried over, where one shift ends and the next begins."""

from compliance.shift import Entry, Shift, entries_of, last_duty, on_duty, open_points, shifts


def log(*steps: tuple[str, str, int | None]) -> list[Entry]:
    return [Entry(n, n * 1000, kind, who, f"text {n}", refers) for n, (kind, who, refers) in enumerate(steps, 1)]


WEEK = log(
    ("note", "李", None),
    ("took_over", "王", None),
    ("point", "王", None),
    ("point", "王", None),
    ("handed_over", "王", 2),
    ("note", "王", None),
    ("took_over", "赵", 5),
    ("done", "赵", 3),
)


def test_an_empty_log_has_one_shift_that_is_nobodys() -> None:
    assert shifts([]) == [Shift(None, None, ())]
    assert open_points([]) == []
    assert on_duty([]) is None
    assert last_duty([]) is None


def test_a_shift_lasts_from_one_take_over_to_the_next() -> None:
    before, first, second = shifts(WEEK)
    assert (before.who, before.id, [entry.id for entry in before.entries], before.to_ms) == (None, None, [1], 2000)
    assert (first.who, first.id, first.from_ms, first.to_ms) == ("王", 2, 2000, 7000)
    assert [entry.id for entry in first.entries] == [2, 3, 4, 5, 6]
    assert first.handed_over is not None
    assert first.handed_over.id == 5
    assert (second.who, second.from_ms, second.to_ms, second.handed_over) == ("赵", 7000, None, None)


def test_open_points_are_carried_over_until_somebody_says_they_are_done() -> None:
    assert [entry.id for entry in open_points(WEEK[:4])] == [3, 4]
    assert [entry.id for entry in open_points(WEEK[:7])] == [3, 4]
    assert [entry.id for entry in open_points(WEEK)] == [4]


def test_who_handed_over_is_on_duty_until_somebody_takes_over() -> None:
    assert on_duty(WEEK[:1]) is None
    assert on_duty(WEEK[:6]) == "王"
    assert on_duty(WEEK) == "赵"
    assert [last.id for last in map(last_duty, (WEEK[:4], WEEK[:6], WEEK)) if last] == [2, 5, 7]


def test_the_log_is_read_from_rows() -> None:
    row = {"id": 1, "at": 5, "kind": "note", "who": "王", "text": "x", "refers_to": None, "body": {}}
    assert entries_of([row]) == [Entry(1, 5, "note", "王", "x")]
