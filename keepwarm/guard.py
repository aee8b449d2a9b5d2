"""A child process that can't outlive its supervisor, however that one ends.

The supervisor holds the write end of the child's stdin. When it is gone, ``kill -9`` included, the kernel closes that
end; the child reads the end of the file, stops as on SIGTERM, and kills its own process group if it has not stopped in time.
"""

import os
import signal
import threading
import time

GRACE_S = 3.0  # to stop in good order, before the whole group is killed


def end_with_parent(grace_s: float = GRACE_S) -> None:
    """From now on this process ends when stdin does. It must lead a process group of its own."""
    threading.Thread(target=_watch_stdin, args=(grace_s,), name="guard", daemon=True).start()


def _watch_stdin(grace_s: float) -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os.killpg(0, signal.SIGKILL)
