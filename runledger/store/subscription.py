"""A subscription of the library that polls: no event is late because a notification was lost."""

from collections.abc import Sequence
from threading import Event, Thread
from typing import Any

from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription


class PollingSubscription(ListenNotifySubscription[ApplicationRecorder]):
    """Looks for events every `interval` seconds; works the same on every store."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        gt: int | None = None,
        topics: Sequence[str] = (),
        *,
        interval: float = 0.02,
    ) -> None:
        self._interval = interval
        # Before the pull thread starts: where its first pull fails, it calls stop().
        self._ended = Event()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._poll_thread = Thread(target=self._poll, daemon=True)
        self._poll_thread.start()

    def _poll(self) -> None:
        while not self._ended.wait(self._interval):
            self._has_been_notified.set()

    def stop(self) -> None:
        """Stop the subscription."""
        self._ended.set()
        super().stop()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        super().__exit__(*args, **kwargs)
        self._ended.set()
        self._poll_thread.join()
