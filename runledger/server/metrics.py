"""The numbers of the server, as Prometheus reads them, named as OpenTelemetry does."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_LABELS: Final = ("http_request_method", "http_route", "http_response_status_code")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """A registry of its own: two servers in one process do not share numbers."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer.",
            _LABELS,
            buckets=_SECONDS,
            registry=registry,
        )
        self.active = Gauge(
            "http_server_active_requests", "Requests that are being answered.", registry=registry
        )
        self.streams = Gauge("runledger_streams", "Streams that are open.", registry=registry)
        self.position = Gauge(
            "runledger_log_position", "The last position of the log.", registry=registry
        )
        self.lag = Gauge(
            "runledger_read_models_lag_events",
            "Events that the read models are behind the log.",
            registry=registry,
        )
        self._killed = Counter(
            "runledger_sql_killed",
            "Statements whose process was killed.",
            registry=registry,
        )
        self._killed_before = 0

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the route's path, never the one that was asked for."""
        self._duration.labels(method, route, str(status)).observe(seconds)

    def count_killed(self, killed: int) -> None:
        """Say how many statements were killed since the server started."""
        self._killed.inc(killed - self._killed_before)
        self._killed_before = killed

    def written(self) -> bytes:
        """Return all numbers in the text format."""
        return generate_latest(self._registry)
