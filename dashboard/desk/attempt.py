"""Does what a person asked for, and says that it is done, or why it is not."""

from collections.abc import Callable

from dashboard.actions.acting import RefusedError
from dashboard.screen import Screen, refuse, tell


def attempt(now: Screen, work: Callable[[], object], done: str) -> bool:
    """Tells whether it was done. What everybody shares is read anew then; a refusal stays long enough to be read."""
    try:
        work()
    except RefusedError as refused:
        refuse(now.say(refused.why))
        return False
    now.town.shared.forget()
    if done:
        tell(done)
    return True
