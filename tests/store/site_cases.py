"""A good site folder to spoil, and cases of spoilt ones from text files that an operator can read."""

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from store.site_folder import check_site

GOOD = {
    "site.toml": 'name = "Fuxin"\ntimezone = "Asia/Shanghai"\n',
    "stations.csv": "station_id,name,source_id,lat,lon,design_flow_m3h\nS01,阳光站,HS1,42.01,121.65,180\nS02,花园站,HS1,,,\n",
    "buildings.csv": "building_id,station_id,floors,households\nB1,S01,6,72\nB2,S02,18,144\n",
    "rooms.csv": "room_id,building_id,premises,offset_k,hold_max_min,floor,sensor_id\nR1,B1,,,,3,a1\nR2,B2,bungalow,0.3,60,1,a2\n",
    "devices.csv": "device_id,station_id,protocol,address,profile,unit\nD1,S01,modbus_tcp,10.0.0.1:502,xd100n,1\n",
    "curves.csv": "station_id,effective_from,outdoor_c,supply_c\nS01,2026-11-01,-20,70\nS01,2026-11-01,10,35\n",
    "planned_stops.csv": "station_id,from,to,reason,who\nS01,2026-12-01T08:00:00+08:00,2026-12-01 20:00,valve,Li\n",
    "exclusions.csv": "room_id,from,to,reason,who\nR1,2026-12-01,,报停,Wang\n",
}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """A site folder of these files, over the good ones."""
    for name, content in {**GOOD, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def lines(folder: Path) -> list[str]:
    """What is said about a folder."""
    return [str(mistake) for mistake in check_site(folder)]


def cases(name: str) -> list[ParameterSet]:
    """The cases of a text file beside this one: file, content, what is said."""
    found = []
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    for case in text.split("\n== ")[1:]:
        what, rest = case.split("\n-- ", 1)
        table, said = rest.split("\n-- says\n")
        file, _, content = table.partition("\n")
        found.append(pytest.param(file, f"{content}\n", said.split("\n\n")[0].splitlines(), id=what))
    return found
