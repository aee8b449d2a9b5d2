"""A resident's signature as it comes from a screen or a camera: looked at by its content, bounded, and drawn anew as a small grey PNG.

data:image/… ─▶ bytes of bounded size ─▶ PNG, JPEG or WebP? few enough pixels? whole? ─▶ upright, grey, ≤ 256 KiB, nothing else in it
"""

import base64
import binascii
import io
import re
import struct
import warnings
from typing import Final

from PIL import Image, UnidentifiedImageError

from dashboard.actions.acting import RefusedError
from dashboard.actions.visits import SIGNATURE_BYTES_MOST, signature_fault
from dashboard.text import N_

SENT_MOST: Final = 1_000_000  # characters; the browser makes photos smaller before it sends them
PIXELS_MOST: Final = 30_000_000
SIDES_PX: Final = (1_200, 900, 700, 500, 350)  # the longest side, smaller until it fits
GREYS: Final = 16
FORMATS: Final = ("PNG", "JPEG", "WEBP")
NO_PICTURE: Final = N_("This is no picture that can be read: a PNG, JPEG or WebP is needed.")
UNREADABLE: Final = (
    *(UnidentifiedImageError, OSError, ValueError, SyntaxError, TypeError, struct.error),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)
# EXIF: how a photo is turned to stand upright. Pillow's own way writes all of the EXIF anew, and stumbles over what cameras write wrongly.
ORIENTATION: Final = 0x0112
TURNS: Final[dict[object, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SENT: Final = re.compile(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=]+)", re.ASCII)


def signature_png(sent: str) -> bytes:
    """The signature to be stored, from the data URL that a browser sent. Raises RefusedError for what is none.

    What it says of itself is not believed: the picture is decoded and drawn anew, so nothing hidden in the file is kept, a photo's
    place and time neither.
    """
    if len(sent) > SENT_MOST:
        raise RefusedError(N_("The picture is too large: at most 700 KB."))
    found = _SENT.fullmatch(sent)
    if found is None:
        raise RefusedError(NO_PICTURE)
    try:
        content = base64.b64decode(found[1], validate=True)
    except binascii.Error as error:
        raise RefusedError(NO_PICTURE) from error
    png = _smallest(_grey(content))
    fault = signature_fault(png)
    if fault:
        raise RefusedError(fault)
    return png


def _grey(content: bytes) -> Image.Image:
    """The picture upright, grey on white."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > PIXELS_MOST:
                raise RefusedError(N_("The picture has too many pixels."))
            image.load()
            turn = TURNS.get(image.getexif().get(ORIENTATION))
            upright = (image if turn is None else image.transpose(turn)).convert("RGBA")
    except UNREADABLE as error:
        raise RefusedError(NO_PICTURE) from error
    paper = Image.new("RGBA", upright.size, "white")
    paper.alpha_composite(upright)
    return paper.convert("L")


def _smallest(image: Image.Image) -> bytes:
    """As a PNG of 16 greys, made smaller until it fits."""
    png = b""
    for side in SIDES_PX:
        smaller = image.copy()
        smaller.thumbnail((side, side))
        content = io.BytesIO()
        smaller.quantize(GREYS).save(content, "PNG", optimize=True)
        png = content.getvalue()
        if len(png) <= SIGNATURE_BYTES_MOST:
            break
    return png
