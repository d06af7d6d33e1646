"""Limits of one request, one connection and one server."""

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes, times are seconds.

    `requests` are answered at once, streams not counted; `streams` are open at once, and
    `streams_per_key` of them with one key; a server without keys has no such limit.
    """

    target: int = 8 << 10
    head: int = 16 << 10
    fields: int = 100
    body: int = _MIB
    batch: int = 16 * _MIB
    depth: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 30.0
    write_seconds: float = 30.0
    stop_seconds: float = 10.0
    ping_seconds: float = 15.0
    requests: int = 64
    streams: int = 1_000
    streams_per_key: int = 100
