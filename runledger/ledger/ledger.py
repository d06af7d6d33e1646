"""RunLedger: composed of parts, opened by `async with`."""

import asyncio
import copy
import logging
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

from projections.generations.as_of import AsOfMoment
from projections.queries.queries import Take
from runledger.arguments import check_actor, check_flags, check_paths
from runledger.callbacks import CallbackSettings
from runledger.command_handling.handler import Clock, CommandHandler, now
from runledger.command_handling.participants import UnknownAgents
from runledger.errors import InvalidArgument, LedgerError
from runledger.images import IMAGE_ADDRESSES
from runledger.ledger.callbacks import Callbacks
from runledger.ledger.copies import Copies
from runledger.ledger.delegation import Delegated, MovedToOperator
from runledger.ledger.expiry import Expiry
from runledger.ledger.external_engine import ExternalEngine, RunsElsewhere, no_run
from runledger.ledger.external_runs import ExternalRuns
from runledger.ledger.feedback import FeedbackCommands
from runledger.ledger.following import Followers
from runledger.ledger.list_queries import ListQueries
from runledger.ledger.open_ledger import OpenLedger, ReadModels
from runledger.ledger.opening import OnChanged, Opening
from runledger.ledger.operator import Operator
from runledger.ledger.part import LedgerPart
from runledger.ledger.prices import Prices
from runledger.ledger.replays import Replays
from runledger.ledger.run_commands import LedgerCommands
from runledger.ledger.run_queries import RunQueries
from runledger.ledger.views import Views
from runledger.outbound import AddressPolicy
from runledger.run import Actor
from runledger.run.envelope import in_utc
from runledger.store import Store

if TYPE_CHECKING:
    from runledger.callbacks.dispatcher import Dispatcher

_LOG: Final = logging.getLogger("runledger.callbacks")
_Part = TypeVar("_Part", bound=LedgerPart)
_T = TypeVar("_T")


class RunLedger:
    """A ledger of agent runs; use it as `async with RunLedger.open(url) as ledger`.

    Every method belongs to a part, where it is documented; each part uses the open resources.

    Parameters:
        opening: the settings to open with, made by `open`.
    """

    def __init__(self, opening: Opening) -> None:
        self.url = opening.url
        self._opening = opening
        self._opened: OpenLedger | None = None
        self._closing = ExitStack()
        self._dispatcher: Dispatcher | None = None

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
        api_key: str | None = None,
        retry_for: float = 60.0,
    ) -> Self:
        """Return a ledger on a store, to be opened by `async with`.

        Parameters:
            url: the store: sqlite:///file.db or postgresql://…, or archive:folder, which is
                only read; or the address of a server, http://… or https://…, whose ledger has the
                same methods (runledger.remote.RemoteLedger).
            read_models: the DuckDB file for lists and totals, or the folder of a published copy;
                without either, only queries about single runs are answered. A server has its own:
                the path given here is not opened.
            archive: the folder of an archive of the log, from which answers `as_of` begin.
            actor: acts if a call names no other; the default organization and user by default. On a
                server it names an organization alone, for a key of all organizations.
            unknown_agents: "register" registers agents with their first run, "reject" refuses runs
                of agents that were not registered.
            clock: returns the time of a command; the clock of the machine by default.
            create: False refuses a store that does not exist.
            live: deprecated; `Operator.open` replaces `live=False`.
            on_changed: what to do if the SQL of read models on disk differs from the SQL that made
                their rows: "keep" continues with the old SQL, "rebuild" makes the rows again first.
            engine: get_run_with_status asks it about the runs that it executes.
            runs_elsewhere: returns whether the engine executes a run; False by default.
            image_addresses: the hosts that images may be fetched from; public ones by default.
            callbacks: True delivers callbacks with the settings of the environment,
                CallbackSettings with these settings; by default `runledger dispatch` delivers them.
            api_key: a key of the server; only for the address of a server, like `retry_for`.
            retry_for: seconds for which a request without an answer is sent again, 60 by default.

        Returns:
            The ledger, not open yet.

        Raises:
            InvalidArgument: for a wrong type or an unknown choice.
        """
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            # Most programs write to a store, and need no client.
            from runledger.remote import RemoteLedger

            _expect_none("the server has its own", {"archive": archive})
            remote = RemoteLedger(url, api_key=api_key, retry_for=retry_for, actor=actor)
            # Both ledgers have the same methods; the declared type is the local one.
            return cast("Self", remote)
        _expect_none("a store has no keys", {"api_key": api_key})
        _check_places(url, read_models=read_models, archive=archive)
        _check_choice("unknown_agents", unknown_agents, ("register", "reject"))
        _check_choice("on_changed", on_changed, ("keep", "rebuild"))
        check_flags(create=create, live=live)
        check_actor(actor)
        if not live:
            warnings.warn(
                "RunLedger.open(live=False) is deprecated: use Operator.open",
                DeprecationWarning,
                stacklevel=2,
            )
        return cls(
            Opening(
                url=url,
                read_models=read_models,
                archive=archive,
                actor=actor or Actor(),
                unknown_agents=unknown_agents,
                clock=lambda: in_utc("clock", clock()),
                create=create,
                hold_live=live,
                on_changed=on_changed,
                engine=engine,
                runs_elsewhere=runs_elsewhere,
                image_addresses=image_addresses,
                callbacks=callbacks
                if isinstance(callbacks, CallbackSettings)
                else CallbackSettings.from_environment(dispatch=callbacks),
            )
        )

    async def __aenter__(self) -> Self:
        opened, self._closing = await asyncio.to_thread(self._opening.open)
        self._opened = opened
        self._start_callbacks(opened)
        return self

    def _start_callbacks(self, opened: OpenLedger) -> None:
        settings = opened.callbacks
        if settings.dispatch:
            # Most ledgers deliver no callbacks, and loading this takes longer than a query.
            from runledger.callbacks.dispatcher import Dispatcher

            self._dispatcher = Dispatcher(
                opened.store, opened.handler, settings, clock=opened.clock
            )
            self._dispatcher.start()
        else:
            for warning in settings.warnings():
                _LOG.warning("%s", warning)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened, self._opened = self._opened, None
        dispatcher, self._dispatcher = self._dispatcher, None
        tail = None if opened is None else await opened.tail.close()
        try:
            if dispatcher is not None:
                await dispatcher.close()
        finally:
            await asyncio.to_thread(self._closing.close)
            if tail is not None:
                tail.wake_all()

    def part(self, kind: type[_Part]) -> _Part:
        """Return a part of the open ledger.

        Parameters:
            kind: the class of the part, such as ListQueries.

        Raises:
            LedgerError: if the ledger is not open, or was opened by another process.
        """
        return kind(self._expect_open())

    def as_actor(self, actor: Actor) -> Self:
        """Return the same open ledger for another actor; its owner still closes it.

        Parameters:
            actor: acts if a call names no other.
        """
        view = copy.copy(self)
        view._opened = self._expect_open().as_actor(actor)
        return view

    @property
    def actor(self) -> Actor:
        """The actor of calls that name no other."""
        return self._expect_open().actor

    @property
    def store(self) -> Store:
        """The log."""
        return self._expect_open().store

    @property
    def handler(self) -> CommandHandler:
        """The command handler."""
        return self._expect_open().handler

    @property
    def read_models(self) -> ReadModels:
        """The live read models or a published copy; raises ReadModelsMissing if opened without."""
        return self._expect_open().read_models

    @property
    def operator(self) -> Operator:
        """The operator's work on this ledger."""
        return Operator(self)

    def _expect_open(self) -> OpenLedger:
        if self._opened is None:
            raise LedgerError(
                "the ledger is not open; use `async with RunLedger.open(...) as ledger`"
            )
        self._opened.expect_own_process()
        return self._opened

    run = Delegated(LedgerCommands, LedgerCommands.run)
    create_run = Delegated(LedgerCommands, LedgerCommands.create_run)
    start_run = Delegated(LedgerCommands, LedgerCommands.start_run)
    start_step = Delegated(LedgerCommands, LedgerCommands.start_step)
    record_step = Delegated(LedgerCommands, LedgerCommands.record_step)
    record_messages = Delegated(LedgerCommands, LedgerCommands.record_messages)
    patch_metadata = Delegated(LedgerCommands, LedgerCommands.patch_metadata)
    record_heartbeat = Delegated(LedgerCommands, LedgerCommands.record_heartbeat)
    register_agent = Delegated(LedgerCommands, LedgerCommands.register_agent)
    complete_run = Delegated(LedgerCommands, LedgerCommands.complete_run)
    fail_run = Delegated(LedgerCommands, LedgerCommands.fail_run)
    cancel_run = Delegated(LedgerCommands, LedgerCommands.cancel_run)
    cancel_runs = Delegated(LedgerCommands, LedgerCommands.cancel_runs)
    delete_run = Delegated(LedgerCommands, LedgerCommands.delete_run)
    update_run = Delegated(LedgerCommands, LedgerCommands.update_run)

    expire_runs = Delegated(Expiry, Expiry.expire_runs)
    expire_approvals = Delegated(Expiry, Expiry.expire_approvals)

    record_run_feedback = Delegated(FeedbackCommands, FeedbackCommands.record_run_feedback)
    record_step_feedback = Delegated(FeedbackCommands, FeedbackCommands.record_step_feedback)

    follow_run = Delegated(Followers, Followers.follow_run)
    follow_log = Delegated(Followers, Followers.follow_log)

    get_run_by_id = Delegated(RunQueries, RunQueries.get_run_by_id)
    get_run_usage = Delegated(RunQueries, RunQueries.get_run_usage)
    get_run_metrics = Delegated(RunQueries, RunQueries.get_run_metrics)
    get_run_request_config = Delegated(RunQueries, RunQueries.get_run_request_config)
    get_run_steps = Delegated(RunQueries, RunQueries.get_run_steps)
    get_stored_messages = Delegated(RunQueries, RunQueries.get_stored_messages)
    get_run_messages = Delegated(RunQueries, RunQueries.get_run_messages)
    image_bytes = Delegated(RunQueries, RunQueries.image_bytes)
    get_agent = Delegated(RunQueries, RunQueries.get_agent)

    get_run_with_status = Delegated(ExternalRuns, ExternalRuns.get_run_with_status)

    list_runs = Delegated(ListQueries, ListQueries.list_runs)
    runs = Delegated(ListQueries, ListQueries.runs)
    run_durations = Delegated(ListQueries, ListQueries.run_durations)
    list_steps = Delegated(ListQueries, ListQueries.list_steps)
    get_step = Delegated(ListQueries, ListQueries.get_step)
    usage_totals = Delegated(ListQueries, ListQueries.usage_totals)
    duration_percentiles = Delegated(ListQueries, ListQueries.duration_percentiles)
    list_agents = Delegated(ListQueries, ListQueries.list_agents)
    sql = Delegated(ListQueries, ListQueries.sql)
    project = Delegated(ListQueries, ListQueries.project)

    save_view = Delegated(Views, Views.save_view)
    remove_view = Delegated(Views, Views.remove_view)
    list_views = Delegated(Views, Views.list_views)
    get_view = Delegated(Views, Views.get_view)

    list_price_changes = Delegated(Prices, Prices.list_price_changes)
    get_model_prices = Delegated(Prices, Prices.get_model_prices)
    set_prices = Delegated(Prices, Prices.set_prices)
    list_own_prices = Delegated(Prices, Prices.list_own_prices)

    get_callback = Delegated(Callbacks, Callbacks.get_callback)
    list_callbacks = Delegated(Callbacks, Callbacks.list_callbacks)
    redeliver_callback = Delegated(Callbacks, Callbacks.redeliver_callback)
    redeliver_callbacks = Delegated(Callbacks, Callbacks.redeliver_callbacks)

    replay = MovedToOperator(Replays, Replays.replay)
    generations = MovedToOperator(Replays, Replays.generations)
    generation = MovedToOperator(Replays, Replays.generation)
    compare_generation = MovedToOperator(Replays, Replays.compare_generation)
    switch_generation = MovedToOperator(Replays, Replays.switch_generation)
    drop_generation = MovedToOperator(Replays, Replays.drop_generation)
    verify = MovedToOperator(Replays, Replays.verify)
    publish = MovedToOperator(Copies, Copies.publish)
    export_parquet = MovedToOperator(Copies, Copies.export_parquet)
    archive = MovedToOperator(Copies, Copies.archive)
    verify_archive = MovedToOperator(Copies, Copies.verify_archive)
    parked = MovedToOperator(Copies, Copies.parked)
    retry_parked = MovedToOperator(Copies, Copies.retry_parked)

    async def sql_rows(
        self, statement: str, take: Take[_T], *, as_of: AsOfMoment | None = None
    ) -> _T:
        """Call `take` with an analyst's answer; see ListQueries.sql_rows.

        Parameters:
            statement: one SELECT over the read models of all organizations.
            take: called in a thread with the names of the columns and an iterator of rows.
            as_of: answers as of a position of the log or a time; the present by default.

        Returns:
            The result of `take`.
        """
        # Written out, because a method's own type variable does not pass through Delegated.
        return await self.part(ListQueries).sql_rows(statement, take, as_of=as_of)


def _check_places(url: str, **places: str | Path | None) -> None:
    if not isinstance(url, str):
        # Only its type is named: the value may contain a password.
        raise InvalidArgument(f"store: expected a URL as text, found {type(url).__name__}")
    check_paths(**{name: place for name, place in places.items() if place is not None})


def _expect_none(reason: str, given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidArgument(f"{name}: expected none, as {reason}; found one")


def _check_choice(name: str, value: str, choices: tuple[str, str]) -> None:
    if value not in choices:
        raise InvalidArgument(f"{name}: expected {' or '.join(choices)}, found {value!r:.80}")
