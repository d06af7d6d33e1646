"""RunLedger: opens and closes the parts, and is the sum of what they do."""

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from projections.archive.store import open_log
from projections.generations.as_of import AsOf
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.operator.operator import serve
from projections.publishing.publish import PublishedReadModels
from projections.replay.changed_models import build_changed
from runledger.callbacks import CallbackSettings
from runledger.command_handling.handler import Clock, CommandHandler, now
from runledger.command_handling.participants import UnknownAgents
from runledger.errors import InvalidArgument
from runledger.images import IMAGE_ADDRESSES
from runledger.ledger.arguments import check_actor, check_flags, check_paths
from runledger.ledger.callbacks import CallingLedger
from runledger.ledger.copies import KeepingLedger
from runledger.ledger.external_engine import (
    ExternalEngine,
    ExternalLedger,
    RunsElsewhere,
    no_run,
)
from runledger.ledger.feedback import JudgingLedger
from runledger.ledger.following import FollowingLedger
from runledger.ledger.run_commands import WritingLedger
from runledger.outbound import AddressPolicy
from runledger.run import Actor
from runledger.run.envelope import in_utc
from runledger.store import Store

OnChanged = Literal["keep", "rebuild"]


class RunLedger(
    WritingLedger, JudgingLedger, FollowingLedger, ExternalLedger, CallingLedger, KeepingLedger
):
    """A ledger of agent runs; use it as `async with RunLedger.open(url) as ledger`."""

    def __init__(
        self,
        url: str,
        read_models: str | Path | None,
        *,
        archive: str | Path | None,
        actor: Actor,
        unknown_agents: UnknownAgents,
        clock: Clock,
        create: bool,
        live: bool,
        on_changed: OnChanged,
        engine: ExternalEngine | None,
        runs_elsewhere: RunsElsewhere,
        image_addresses: AddressPolicy,
        callbacks: CallbackSettings,
    ) -> None:
        self.url = url
        self._read_models_path = read_models
        self._archive = archive
        self._actor = actor
        self._unknown_agents = unknown_agents
        self._clock = lambda: in_utc("clock", clock())
        self._create = create
        self._hold_live = live
        self._on_changed = on_changed
        self._engine = engine
        self._runs_elsewhere = runs_elsewhere
        self._image_addresses = image_addresses
        self._callbacks = callbacks

    @classmethod
    def open(
        cls,
        url: str,
        read_models: str | Path | None = None,
        *,
        archive: str | Path | None = None,
        actor: Actor | None = None,
        unknown_agents: UnknownAgents = "register",
        clock: Clock = now,
        create: bool = True,
        live: bool = True,
        on_changed: OnChanged = "keep",
        engine: ExternalEngine | None = None,
        runs_elsewhere: RunsElsewhere = no_run,
        image_addresses: AddressPolicy = IMAGE_ADDRESSES,
        callbacks: CallbackSettings | bool = False,
    ) -> Self:
        """Return a ledger on the store at `url`, opened by `async with`.

        `url` is sqlite:///file.db or postgresql://…, or archive:folder to read; `read_models` is
        the DuckDB file for lists and totals, or the folder of a published copy (without either,
        only questions about single runs are answered). `archive` is the folder of an archive of the
        log, which answers `as_of` long ago begin from. `actor` is whoever acts where a call names
        nobody. `unknown_agents="reject"` refuses runs of agents that were not registered.
        `create=False` refuses a store that is not there. `live=False` leaves the read models' file
        to the process that holds it; only an operator's work is done, and questions `as_of` are
        answered. `on_changed` is about read models whose SQL on disk is not the one that made their
        rows: "keep" goes on by the old one, "rebuild" makes them again before it begins. `engine`
        is asked by get_run_with_status about the runs for which `runs_elsewhere` is true, by
        default about none. `image_addresses` says which hosts images may be
        fetched from. `callbacks=True` delivers callbacks with the settings of the environment,
        CallbackSettings with its own; without, `runledger dispatch` does.
        """
        _check_places(url, read_models=read_models, archive=archive)
        _check_choice("unknown_agents", unknown_agents, ("register", "reject"))
        _check_choice("on_changed", on_changed, ("keep", "rebuild"))
        check_flags(create=create, live=live)
        check_actor(actor)
        return cls(
            url,
            read_models,
            archive=archive,
            actor=actor or Actor(),
            unknown_agents=unknown_agents,
            clock=clock,
            create=create,
            live=live,
            on_changed=on_changed,
            engine=engine,
            runs_elsewhere=runs_elsewhere,
            image_addresses=image_addresses,
            callbacks=callbacks
            if isinstance(callbacks, CallbackSettings)
            else CallbackSettings.from_environment(dispatch=callbacks),
        )

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        self._start_callbacks()
        return self

    def _open(self) -> None:
        store = open_log(self.url, create=self._create)
        try:
            path = None if self._read_models_path is None else Path(self._read_models_path)
            if path is not None and path.is_dir():
                self._live = PublishedReadModels(path)
            elif path is not None:
                if self._hold_live:
                    self._follow(store, path)
                self._past = AsOf(store, path, self._archive)
        except BaseException:
            if self._live is not None:
                self._live.close()
            store.close()
            raise
        self._process = os.getpid()
        self._store = store
        self._handler = CommandHandler(
            store, clock=self._clock, unknown_agents=self._unknown_agents
        )

    def _follow(self, store: Store, path: Path) -> None:
        self._live = live = LiveReadModels(store, path)
        self._operations = Operations(store, live)
        if live.changed and self._on_changed == "rebuild":
            rebuilt = build_changed(self._operations, store, live.path)
            if rebuilt is not None:
                self._operations.switch(rebuilt.number)
        self._requests = serve(live.path, self._operations)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tail = await self._stop_following()
        try:
            await self._stop_callbacks()
        finally:
            await asyncio.to_thread(self._close)
            if tail is not None:
                tail.wake_all()

    def _close(self) -> None:
        handler, live, store = self._handler, self._live, self._store
        requests = self._requests
        self._handler = self._live = self._store = self._operations = self._requests = None
        if handler is not None:
            handler.close()
        if requests is not None:
            requests.close()
        if live is not None:
            live.close()
        if store is not None:
            store.close()


def _check_places(url: str, **places: str | Path | None) -> None:
    if not isinstance(url, str):
        # Its type alone: whatever it is, it may hold a password.
        raise InvalidArgument(f"store: expected a URL as text, found {type(url).__name__}")
    check_paths(**{name: place for name, place in places.items() if place is not None})


def _check_choice(name: str, value: str, choices: tuple[str, str]) -> None:
    if value not in choices:
        raise InvalidArgument(f"{name}: expected {' or '.join(choices)}, found {value!r:.80}")
