"""map.geojson: what is drawn, and one clear line for each mistake."""

import json
from pathlib import Path

import pytest

from domain.errors import Mistake
from domain.site import Outline
from store.site_folder.load import check_site, read_site
from store.site_folder.map_file import BYTES_MOST, MAP_FILE, read_outlines

LINE = [[126.5, 45.75], [126.6, 45.8, 130.0], [126.7, 45.75]]


def read(folder: Path, content: object) -> tuple[tuple[Outline, ...], list[Mistake]]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / MAP_FILE).write_bytes(raw)
    mistakes: list[Mistake] = []
    return read_outlines(folder, mistakes), mistakes


def test_without_a_file_there_is_no_background(tmp_path: Path) -> None:
    mistakes: list[Mistake] = []
    assert read_outlines(tmp_path, mistakes) == ()
    assert mistakes == []


def test_lines_and_areas_of_all_kinds_in_their_order(tmp_path: Path) -> None:
    shapes = [
        {"type": "LineString", "coordinates": LINE},
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "MultiPoint", "coordinates": [[1, 2]]},
        {"type": "Polygon", "coordinates": [LINE, LINE]},
        {"type": "MultiLineString", "coordinates": [LINE]},
        {"type": "GeometryCollection", "geometries": [{"type": "MultiPolygon", "coordinates": [[LINE], [LINE]]}]},
    ]
    features = [{"type": "Feature", "properties": {"name": "河"}, "geometry": shape} for shape in [*shapes, None]]
    found, mistakes = read(tmp_path, {"type": "FeatureCollection", "features": features})
    assert mistakes == []
    assert [one.closed for one in found] == [False, True, True, False, True, True]
    assert (found[0].lat.tolist(), found[0].lon.tolist()) == ([45.75, 45.8, 45.75], [126.5, 126.6, 126.7])


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    found, mistakes = read(tmp_path, b"\xef\xbb\xbf" + json.dumps({"type": "LineString", "coordinates": LINE}).encode())
    assert (len(found), mistakes) == (1, [])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"type":\n "LineString",\n oops}', "map.geojson:3: no JSON: expecting property name enclosed in double quotes"),
        (b"\xff\xfe", "map.geojson: GeoJSON is UTF-8; byte 0 is not"),
        (b"[" * 100_000, "map.geojson: nested too deep for a map"),
        ([], "map.geojson: type: one of FeatureCollection, Feature, GeometryCollection, LineString"),
        ({"type": "Circle"}, "map.geojson: type: 'Circle': one of FeatureCollection"),
        ({"type": "FeatureCollection"}, "map.geojson: features: a list is needed"),
        (
            {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[1, "x"]]}}]},
            "map.geojson: features[0].geometry.coordinates[0]: \"[1, 'x']\": a position is [longitude, latitude]",
        ),
        (
            {"type": "Polygon", "coordinates": [LINE, [[45.75, 126.5]]]},
            "map.geojson: coordinates[1][0]: '[45.75, 126.5]': longitude −180 to 180, then latitude −90 to 90",
        ),
        ({"type": "LineString", "coordinates": 7}, "map.geojson: coordinates: a list of positions is needed"),
        (b'{"type": "LineString", "coordinates": [[NaN, 1]]}', "map.geojson: coordinates[0]: '[nan, 1]': longitude"),
    ],
)
def test_each_mistake_says_where_it_is_and_what_would_be_right(tmp_path: Path, content: object, line: str) -> None:
    found, mistakes = read(tmp_path, content)
    assert found == ()
    assert len(mistakes) == 1
    assert str(mistakes[0]).startswith(line)


def test_a_file_too_large_is_not_even_read(tmp_path: Path) -> None:
    found, mistakes = read(tmp_path, b" " * (BYTES_MOST + 1))
    assert found == ()
    assert str(mistakes[0]).startswith("map.geojson: '2,097,153 bytes': at most 2,097,152 bytes")


def test_check_tells_a_mistake_of_the_map_and_a_name_that_nobody_reads(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "镇"\n', encoding="utf-8")
    (tmp_path / MAP_FILE).write_text('{"type": "Circle"}', encoding="utf-8")
    (tmp_path / "maps.geojson").write_text("{}", encoding="utf-8")
    found = [str(mistake) for mistake in check_site(tmp_path)]
    assert len(found) == 2
    assert found[0].startswith("map.geojson: type: 'Circle': one of FeatureCollection")
    assert found[1] == "maps.geojson: nobody reads this file; did you mean map.geojson?"


def test_a_site_carries_its_background(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "镇"\n', encoding="utf-8")
    (tmp_path / MAP_FILE).write_text(json.dumps({"type": "LineString", "coordinates": LINE}), encoding="utf-8")
    site, mistakes = read_site(tmp_path)
    assert mistakes == []
    assert site is not None
    assert [one.closed for one in site.outlines] == [False]
