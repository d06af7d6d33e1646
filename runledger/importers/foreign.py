"""A JSON object of another program: typed access to its fields, errors with their place."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from runledger.errors import InvalidArgument
from runledger.utc import as_utc


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object and its place in the document, such as `messages[3].usage`."""

    fields: Mapping[str, Any]
    place: str = ""

    def fault(self, key: str, expected: str) -> InvalidArgument:
        """Return the error for a field with an unexpected value."""
        where = f"{self.place}.{key}" if self.place else key
        return InvalidArgument(f"{where}: expected {expected}, found {self.fields.get(key)!r:.80}")

    def text(self, key: str) -> str | None:
        """Return a text, or None."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, str):
            raise self.fault(key, "text or null")
        return value

    def flag(self, key: str) -> bool:
        """Return a bool; False if it is missing."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.fault(key, "true or false")
        return bool(value)

    def count(self, key: str) -> int | None:
        """Return a whole number of 0 or more (2.0 is one), or None."""
        value = self.fields.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.fault(key, "a whole number of 0 or more")
        if value < 0 or value != int(value):
            raise self.fault(key, "a whole number of 0 or more")
        return int(value)

    def seconds_as_ns(self, key: str) -> int | None:
        """Return seconds of 0 or more, possibly given as text, as nanoseconds, or None."""
        value = self.fields.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise self.fault(key, "seconds of 0 or more") from None
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.fault(key, "seconds of 0 or more")
        if value < 0:
            raise self.fault(key, "seconds of 0 or more")
        return round(value * 1e9)

    def time(self, key: str) -> datetime | None:
        """Return a time in ISO 8601, or None; one without a zone is UTC."""
        value = self.fields.get(key)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
            return as_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (TypeError, ValueError):
            raise self.fault(key, "a time in ISO 8601") from None

    def object(self, key: str) -> "Foreign | None":
        """Return an object, or None."""
        value = self.fields.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.fault(key, "an object or null")
        return Foreign(value, f"{self.place}.{key}" if self.place else key)

    def objects(self, key: str) -> Iterator["Foreign"]:
        """Yield the objects of a list; a missing list is empty."""
        value = self.fields.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            raise self.fault(key, "a list or null")
        where = f"{self.place}.{key}" if self.place else key
        for number, item in enumerate(value):
            if not isinstance(item, dict):
                raise InvalidArgument(f"{where}[{number}]: expected an object, found {item!r:.80}")
            yield Foreign(item, f"{where}[{number}]")


def digest_of(value: object) -> str:
    """Return the SHA-256 of a JSON value in hexadecimal, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def last_part(folder: str | None) -> str | None:
    """Return the last part of a folder's path in the syntax of any system; None if there is
    none."""
    if not folder:
        return None
    path = PureWindowsPath(folder) if "\\" in folder else PurePosixPath(folder)
    return path.name or None
