"""JSON as it must be: what two readers could take for two things is refused."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from runledger.server.refusal import Refusal

_DIGITS: Final = 400
"""Digits of one number; a float has 17 that count, and 309 before its point at most."""
_NESTS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def read_json(data: bytes, depth: int) -> Any:
    """Return what a JSON text says (RFC 8259); `depth` is how deep it may nest.

    Raises Refusal with status 400: for text that is not JSON or not UTF-8, a key that comes twice
    in an object, NaN and infinities, numbers too large for a float or with too many digits, and
    half a surrogate pair, which no store could keep.
    """
    _check_depth(data, depth)
    try:
        text = data.decode("utf-8")
        made = _DECODER.decode(text)
        # Escapes can name half a pair; an encoder finds it in one pass.
        if "\\u" in text:
            json.dumps(made, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as e:
        raise Refusal(
            400, f"body: expected UTF-8, found byte 0x{data[e.start]:02x} at {e.start}"
        ) from e
    except UnicodeEncodeError as e:
        raise Refusal(400, "body: expected text, found half of a surrogate pair") from e
    except json.JSONDecodeError as e:
        raise Refusal(
            400, f"body: expected JSON: {e.msg} at line {e.lineno}, column {e.colno}"
        ) from e
    except RecursionError as e:
        raise Refusal(400, "body: expected JSON that nests less deeply") from e
    return made


def _check_depth(data: bytes, depth: int) -> None:
    # Before it is parsed: the parser recurses, and would take the stack along.
    if data.count(b"[") + data.count(b"{") <= depth:
        return
    deep = 0
    for found in _NESTS.finditer(data):
        sign = found[0]
        if sign in (b"[", b"{"):
            deep += 1
            if deep > depth:
                raise Refusal(400, f"body: expected JSON that nests {depth} deep at most")
        elif sign in (b"]", b"}"):
            deep -= 1


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Refusal(400, f"body: expected every key once, found {key!r:.80} twice")
            seen.add(key)
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise Refusal(400, f"body: expected a number, found {name}")


def _number(text: str) -> float:
    made = float(text) if len(text) <= _DIGITS else float("inf")
    if made in (float("inf"), float("-inf")):
        raise Refusal(400, f"body: expected a number that a float can hold, found {text:.40}")
    return made


def _whole_number(text: str) -> int:
    if len(text) > _DIGITS:
        raise Refusal(400, f"body: expected a number of {_DIGITS} digits at most")
    return int(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_constant=_refuse_constant,
    parse_float=_number,
    parse_int=_whole_number,
)
"""Made once: `json.loads` makes one for each text if it is given hooks."""
