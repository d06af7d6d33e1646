"""Reads one large JSON document incrementally: an array's elements are returned one at a time.

For a file that is truncated or damaged in the middle, everything before the fault is returned. NaN
and Infinity, which some programs write although they are not JSON, are read as null.
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Final

from runledger.errors import ImportFailed
from runledger.importers.source_file import DAMAGE, Bytes

CHUNK: Final = 1 << 20
"""Characters read at a time; doubled for a value that is larger."""

_SPACE: Final = " \t\n\r"
# More text can change only a value this close to the end of the text read, or an open string: a
# literal or an escape that is cut, and a number ("1" of "1.5e-7").
_MARGIN: Final = 16


class JsonStream:
    """A cursor in a JSON text; raises ImportFailed with the position of a fault."""

    def __init__(self, stream: Bytes) -> None:
        self._stream = stream
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = json.JSONDecoder(parse_constant=lambda _: None)
        self._buffer = ""
        self._at = 0
        self._before = 0
        self._ended = False
        self._damage = ""

    def members(self) -> Iterator[str]:
        """Yield the keys of the object at the cursor; take each value before the next key."""
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._broken(f"expected a key, found {key!r:.40}")
            self._expect(":")
            yield key
            if self._next(",}") == "}":
                return

    def elements(self) -> Iterator[Any]:
        """Yield the values of the array at the cursor."""
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._next(",]") == "]":
                return

    def documents(self) -> Iterator[Any]:
        """Yield the values of the array at the cursor, or the values that follow one another."""
        if self._peek() == "[":
            yield from self.elements()
            return
        while not self._over():
            yield self.value()

    def value(self) -> Any:
        """Return the complete value at the cursor."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as e:
                open_string = e.msg.startswith("Unterminated string")
                if self._ended or (not open_string and e.pos < len(self._buffer) - _MARGIN):
                    raise self._broken(e.msg, e.pos) from None
            except RecursionError:
                raise self._broken("nested too deep") from None
            else:
                if end < len(self._buffer) - _MARGIN or self._ended:
                    self._at = end
                    return value
            self._fill()

    def _fill(self) -> None:
        pieces = [self._buffer[self._at :]]
        self._before += self._at
        wanted = max(CHUNK, len(pieces[0]))
        while wanted > 0 and not self._ended:
            try:
                read = self._stream.read1(CHUNK)
                self._ended = not read
                pieces.append(self._utf8.decode(read, final=not read))
            except DAMAGE as e:
                # Earlier values remain valid; the fault is raised when the cursor gets here.
                self._ended, self._damage = True, str(e) or type(e).__name__
            wanted -= len(pieces[-1])
        self._buffer, self._at = "".join(pieces), 0

    def _over(self) -> bool:
        """Skip whitespace; return whether nothing follows it."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _SPACE:
                    return False
                self._at += 1
            if self._damage:
                raise self._broken("the file ends early")
            if self._ended:
                return True
            self._fill()

    def _peek(self) -> str:
        if self._over():
            raise self._broken("the file ends early")
        return self._buffer[self._at]

    def _next(self, wanted: str) -> str:
        found = self._peek()
        if found not in wanted:
            raise self._broken(f"expected {' or '.join(wanted)}, found {found!r}")
        self._at += 1
        return found

    def _expect(self, wanted: str) -> None:
        self._next(wanted)

    def _broken(self, reason: str, at: int | None = None) -> ImportFailed:
        place = self._before + (self._at if at is None else at) + 1
        if self._damage:
            reason = f"the file is damaged: {self._damage}"
        return ImportFailed(f"character {place:,}: {reason}")
