"""Rows of watch's tables by the names of the site, looked up once for many passes."""

import pyarrow as pa

from dashboard.facts.table_rows import TableRows


def column(*parts: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(part, pa.string()) for part in parts])


def test_each_row_finds_its_name_and_each_name_its_row() -> None:
    rows = TableRows(["a", "b", "c", "d"])
    ids = column(["c", "x"], ["a", "d"])
    assert rows.rows(ids).tolist() == [2, -1, 0, 3]
    assert rows.places(ids).tolist() == [2, -1, 0, 3]
    assert rows.row("b") == 1
    assert len(rows) == 4


def test_the_same_names_are_not_looked_up_again_and_others_are() -> None:
    rows = TableRows(["a", "b"])
    first = rows.rows(column(["b", "a"]))
    assert rows.rows(column(["b"], ["a"])) is first  # dealt out otherwise, but the same
    assert rows.rows(column(["a", "b"])).tolist() == [0, 1]
    assert rows.places(column(["b"])).tolist() == [-1, 0]
    assert rows.places(column([])).tolist() == [-1, -1]
