"""``/now``: what the bar at the top of every page asks for every two seconds. The site's time, and that there is a server and a session."""

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.town import Town
from dashboard.moments import Moments
from dashboard.text import speech


class Now:
    """The clock of the site; strangers are sent away before."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._moments = Moments(town.site.timezone, speech("zh"))

    async def answer(self, _: Request) -> Response:
        """Local wall-clock time as milliseconds since 1970."""
        return Response(orjson.dumps({"local_ms": local_ms(self._moments, self._town.now_ms())}), media_type="application/json")


def local_ms(moments: Moments, now_ms: int) -> int:
    """What a clock on the wall shows at this instant."""
    return int(moments.wall_ms(np.array([now_ms]))[0])
