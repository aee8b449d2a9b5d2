"""What the screen knows of each point, kept over a restart in ``DATA/screen.npz``: else nothing would be stuck for hours after one.

A file of its own, not the journal's newest readings: these don't tell since when a value is the same, nor who has moved.
"""

from pathlib import Path
from threading import Lock
from zipfile import BadZipFile

import numpy as np
import structlog

from domain.screening import Memory

log = structlog.get_logger("collect")

_SAVING = Lock()


def load_memory(path: Path) -> Memory | None:
    """What was kept; None where nothing is, or nothing that can be read: the screen then begins anew."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:  # of a spoilt file, np.load leaves what it opened open
            return Memory.of(dict(kept))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        log.warning("memory of the screening not read; it begins anew", file=str(path), reason=str(error))
        return None


def save_memory(path: Path, memory: Memory) -> None:
    """Keeps it, whole or not at all, also where the last time is still under way in another thread. Raises OSError."""
    with _SAVING:
        part = path.with_suffix(".tmp")
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **memory.columns())
        part.replace(path)
