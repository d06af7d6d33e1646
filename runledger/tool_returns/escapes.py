"""JSON escapes of half a surrogate pair, which remain if a model's output is cut in an emoji."""

import re
from typing import Final

_HALF: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def without_halves(text: str) -> str:
    """Return JSON text with U+FFFD for each escape of half a surrogate pair.

    Half a pair is not valid Unicode and cannot be encoded. The JSON text is repaired and not the
    value, because halves may be at any depth of the value, and in keys.
    """
    return _HALF.sub(lambda found: r"\ufffd" if found[1] else found[0], text)
