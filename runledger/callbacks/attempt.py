"""One attempt: check the delivery, send it, evaluate the answer, record it as an event."""

import asyncio
import logging
import time
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from runledger.callbacks import signatures
from runledger.callbacks.outbox import Pending
from runledger.callbacks.payload import Ended, full_payload, thin_payload
from runledger.callbacks.receivers import Pause
from runledger.callbacks.retries import Chance, retry_after, wait_after
from runledger.callbacks.settings import CallbackSettings
from runledger.command_handling.batch import CommandBatch
from runledger.command_handling.handler import Clock, CommandHandler
from runledger.errors import (
    AddressRefused,
    ConcurrentAppend,
    Conflict,
    InvalidArgument,
    LedgerError,
    NotFound,
    OutboundFailed,
    StoreError,
    UrlRefused,
)
from runledger.outbound import GuardedClient, Response, check_url
from runledger.run import Actor, Run
from runledger.run.commands import RecordCallbackAttempt
from runledger.run.delivery import Delivery
from runledger.store import Store

_LOG: Final = logging.getLogger("runledger.callbacks")
_RECORD_AGAIN_SECONDS: Final = 1.0
_ERROR_LENGTH: Final = 300


class Answer(NamedTuple):
    """The result of sending. `alive` says whether the receiver works; None if it was not called."""

    status_code: int | None = None
    error: str | None = None
    delivered: bool = False
    final: bool = False
    alive: bool | None = None
    wait: timedelta | None = None


class Sender:
    """Makes attempts and records them."""

    def __init__(
        self,
        store: Store,
        handler: CommandHandler,
        settings: CallbackSettings,
        client: GuardedClient,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store = store
        self._handler = handler
        self._settings = settings
        self._client = client
        self._clock = clock
        self._chance = chance
        self._waiting: dict[Pending, asyncio.Timeout] = {}

    def give_up(self, pending: Pending) -> None:
        """Abort the request of an attempt, which is recorded as a failure."""
        if pending in self._waiting:
            self._waiting[pending].reschedule(asyncio.get_running_loop().time())

    async def attempt(
        self, pending: Pending, pause: Pause | None
    ) -> tuple[Delivery | None, bool | None]:
        """Attempt a delivery; return its state afterwards, and whether the receiver is alive.

        The run's stream is read first: a delivery that is finished or not due is not sent, whatever
        this dispatcher assumed.
        """
        actor = Actor(pending.organization)
        try:
            run = await self._handler.load(actor, pending.run_id)
        except NotFound:
            return None, None
        owed = run.delivery
        began = self._clock()
        if owed is None or owed.settled or (owed.next_attempt_at or began) > began:
            return owed, None
        # The cached run goes on changing, so its values are copied now.
        url, tries, asked = run.callback_url or "", owed.tries + 1, owed.asked
        facts = {
            "webhook_id": owed.webhook_id,
            "attempt": owed.attempts + 1,
            "url": url,
            "redelivery": owed.redelivery,
        }
        clocked = time.monotonic_ns()
        # The last attempt is always sent: no callback is given up because of failures of other
        # deliveries.
        if pause is not None and tries < len(self._settings.calendar):
            failed = f"not sent: the receiver failed {pause.failures} times in a row"
            answer = Answer(error=f"{failed}, and is left alone until {pause.ends:%H:%M:%S} UTC")
        else:
            answer = await self._send(pending, run, url, owed.webhook_id, began)
        wait = wait_after(tries, self._settings, self._chance)
        final = answer.delivered or answer.final or wait is None
        if not final and wait is not None:
            facts["next_attempt_at"] = self._clock() + max(wait, answer.wait or wait)
        facts |= {
            "status_code": answer.status_code,
            "error": answer.error and _storable(answer.error),
            "delivered": answer.delivered,
            "final": final,
            "attempt_ns": time.monotonic_ns() - clocked,
        }
        batch = CommandBatch(
            actor, pending.run_id, (RecordCallbackAttempt(facts, asked),), at=began
        )
        return await self._record(batch), answer.alive

    async def _send(
        self, pending: Pending, run: Run, url: str, webhook_id: str, at: datetime
    ) -> Answer:
        settings = self._settings
        try:
            check_url(url, settings.policy)
        except UrlRefused as e:
            # The URL will not change, but the addresses of a name may: that is retried.
            return Answer(error=e.reason, final=True)
        try:
            body = await self._body(run)
        except StoreError:
            # The store failed, not the delivery: no attempt could be recorded either.
            raise
        except Exception as e:
            _LOG.error(
                "run %s: the body of the callback could not be made: %s",
                run.run_id,
                e,
                exc_info=not isinstance(e, LedgerError),
            )
            return Answer(error=f"not sent: the body could not be made: {type(e).__name__}: {e}")
        signed = signatures.headers(
            settings.keys_of(run.organization), webhook_id, int(at.timestamp()), body
        )
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(None) as self._waiting[pending]:
                response = await self._client.post(
                    url,
                    content=body,
                    headers={"content-type": "application/json", **signed},
                    policy=settings.policy,
                    timeout=settings.timeout_seconds,
                    max_response_bytes=settings.max_response_bytes,
                )
        except TimeoutError:
            waited = f"no answer within {clock() - begun:.3g} s"
            return Answer(error=f"{waited}, and others needed the room", alive=False)
        except AddressRefused as e:
            return Answer(error=e.reason)
        except OutboundFailed as e:
            return Answer(error=e.reason, alive=False)
        finally:
            del self._waiting[pending]
        return self._judge(response)

    def _judge(self, response: Response) -> Answer:
        """Evaluate only the status; the body of the answer is ignored."""
        status = response.status_code
        if 200 <= status < 300:
            return Answer(status, delivered=True, alive=True)
        said = f"expected a status of 200 to 299, found {status}"
        if 300 <= status < 400:
            return Answer(status, f"{said}: redirects are not followed", alive=True)
        if status == 410:
            return Answer(status, f"{said}: the receiver wants no more", final=True, alive=True)
        wait = None
        if status in (429, 503):
            wait = retry_after(response.headers, self._clock(), self._settings)
        return Answer(status, said, alive=status < 500 and status != 429, wait=wait)

    async def _body(self, run: Run) -> bytes:
        ended = Ended.of(run)
        if self._settings.thin:
            return thin_payload(ended)
        try:
            agent = await self._handler.agent(Actor(run.organization), run.agent_id)
            agent_type = agent.agent_type
        except (NotFound, InvalidArgument):
            agent_type = None
        limit = self._settings.max_payload_bytes
        return await asyncio.to_thread(full_payload, ended, self._store, agent_type, limit)

    async def _record(self, batch: CommandBatch) -> Delivery | None:
        """Record an attempt, with retries: without the record, the same would be sent again."""
        while True:
            try:
                return (await self._handler.execute(batch)).run.delivery
            except (StoreError, ConcurrentAppend) as e:
                _LOG.warning("run %s: the attempt is not recorded yet: %s", batch.run_id, e)
                await asyncio.sleep(_RECORD_AGAIN_SECONDS)
            except (NotFound, Conflict) as e:
                _LOG.info("run %s: the callback is not needed any more: %s", batch.run_id, e)
                return None


def _storable(error: str) -> str:
    """Return an error's text in a form that an event can store: it may repeat arbitrary input."""
    return error.encode("utf-8", "backslashreplace").decode()[:_ERROR_LENGTH]
