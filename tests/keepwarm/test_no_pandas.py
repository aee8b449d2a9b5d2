"""Every process of ours works without pandas."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = """
import sys
from keepwarm.lean import without_pandas
without_pandas()
from pathlib import Path
import numpy as np
from domain.reading import Readings
from store.history.lines import lines_of
from store.history.parquet import ParquetHistory
START = 1_768_348_800_000
history = ParquetHistory(Path(sys.argv[1]), str, grace_s=0)
for day in range(3):
    for turn in range(9):
        at = START + day * 86_400_000 + turn * 1_000 + np.arange(100)
        history.write(Readings.of(np.arange(100), at, np.arange(100.0)))
for _ in range(3):
    history.tidy(START + 3 * 86_400_000)
print(len(history.read(range(100), 0, 2**62)), len(history.latest(range(100), 2**62)), history.rollup([1], START, START + 3 * 86_400_000, 3_600_000).count.sum())
print(len(lines_of(Readings.of([1, 2], [START, START], [1.5, 1 / 3]), ["a ", "b "], np.array([0, 1]), exact=False)))
import compliance.watch
print("pandas" in sys.modules)
try:
    import pandas
except ModuleNotFoundError as error:
    print(error.name)
"""  # noqa: E501 - a script

TABLES = """
from keepwarm.lean import without_pandas
without_pandas()
import sys
import pyarrow as pa
table = pa.table({"a": pa.array([1, 2]), "b": ["x", None]})
print(table["a"].to_numpy().tolist(), table["b"].to_pylist())
import streamlit
print([name for name in sys.modules if name.partition(".")[0] == "pandas"])
"""
COMMAND = """
import sys
from keepwarm.main import main
sys.argv = ["keepwarm", "audit", "--readings", sys.argv[1]]
try:
    main()
finally:
    print([name for name in sys.modules if name.partition(".")[0] == "pandas"], file=sys.stderr)
"""


def test_histories_and_watch_do_without_it(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", WORK, str(tmp_path / "history")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == ["2700 100 27", "2", "False", "pandas"], ran.stderr


def test_pyarrow_and_streamlit_do_without_it() -> None:
    ran = subprocess.run([sys.executable, "-c", TABLES], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == ["[1, 2] ['x', None]", "[]"], ran.stderr


def test_a_command_does_without_it(tmp_path: Path) -> None:
    readings = tmp_path / "readings.csv"
    readings.write_text("point,measured_at,value\nroom/R1/indoor_temp_c,2026-01-15T08:00:00+08:00,19.0\n", encoding="utf-8")
    ran = subprocess.run([sys.executable, "-c", COMMAND, str(readings)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "[]\n")
    assert '"rooms_known"' in ran.stdout
