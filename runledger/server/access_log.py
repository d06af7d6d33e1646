"""The access log: one line of JSON for each request, without its query and without its key."""

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO


@dataclass(slots=True)
class Entry:
    """What is written of one request; `route` is the route's path, never the one that was asked."""

    request_id: str
    method: str
    route: str = "-"
    status: int = 0
    bytes: int = 0
    key_id: str | None = None
    organization: str | None = None
    begun: float = 0.0


class AccessLog:
    """Writes to a stream (default: standard error), or nowhere."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet

    def write(self, entry: Entry) -> None:
        """Write the line of a request that was answered."""
        if self._quiet:
            return
        # Escaped by JSON: nothing that was sent can end the line or move a cursor.
        line = json.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "request_id": entry.request_id,
                "method": entry.method,
                "route": entry.route,
                "status": entry.status,
                "ms": round((time.perf_counter() - entry.begun) * 1000, 1),
                "bytes": entry.bytes,
                "key_id": entry.key_id,
                "organization": entry.organization,
            }
        )
        self._stream.write(line + "\n")
