"""JSON escapes of half a surrogate pair: what is left of an emoji where a model was cut off."""

import re
from typing import Final

_HALF: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def without_halves(text: str) -> str:
    """Return JSON text with U+FFFD for each escape of half a surrogate pair.

    The half is no Unicode: the string that JSON makes of it could be shown to nobody. The text is
    mended rather than the value, in which halves may lie at any depth, and in keys.
    """
    return _HALF.sub(lambda found: r"\ufffd" if found[1] else found[0], text)
