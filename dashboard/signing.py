"""The place to sign on a page: drawn on the screen, or a photo of the signed sheet."""

from dashboard.panel import component
from dashboard.screen import Screen


def signing(now: Screen, key: str) -> str:
    """Shows it; gives what the browser sent as a data URL, empty without one. It is checked where it is filed."""
    _ = now.say
    data = {"sign": _("The resident signs here"), "clear": _("Clear"), "photo": _("Photo of the signed sheet")}
    result = component("signature")(key=key, data=data, default={"picture": ""}, on_picture_change=lambda: None)
    return str(result.picture or "")
