"""Opens a ledger: its settings, and its resources in the order of opening and closing."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from projections.archive.store import ArchiveStore, absolute_url, open_log
from projections.generations.as_of import AsOf
from projections.generations.live import LiveReadModels
from projections.operator.held import HeldReadModels
from projections.operator.local import Operations
from projections.operator.operator import hold_or_find, serve
from projections.publishing.publish import PublishedReadModels
from projections.replay.changed_models import build_changed
from runledger.callbacks import CallbackSettings
from runledger.command_handling.handler import Clock, CommandHandler, now
from runledger.command_handling.participants import UnknownAgents
from runledger.errors import ReadModelsLocked
from runledger.images import IMAGE_ADDRESSES
from runledger.ledger.external_engine import ExternalEngine, RunsElsewhere, no_run
from runledger.ledger.open_ledger import OpenLedger, ReadModels
from runledger.outbound import AddressPolicy
from runledger.run import Actor
from runledger.store import Store
from runledger.store.keeper import Keeper

OnChanged = Literal["keep", "rebuild"]
_PATIENCE_SECONDS: Final = 5.0
"""How long to wait for another process that has the read models open and does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The settings that a ledger is opened with; they are described in RunLedger.open.

    With `ask_holder`, queries go to another process if it has the read models open, as on the
    command line.
    """

    url: str
    read_models: str | Path | None = None
    archive: str | Path | None = None
    actor: Actor = field(default_factory=Actor)
    unknown_agents: UnknownAgents = "register"
    clock: Clock = now
    create: bool = True
    hold_live: bool = True
    ask_holder: bool = False
    on_changed: OnChanged = "keep"
    engine: ExternalEngine | None = None
    runs_elsewhere: RunsElsewhere = no_run
    image_addresses: AddressPolicy = IMAGE_ADDRESSES
    callbacks: CallbackSettings = field(default_factory=lambda: CallbackSettings(dispatch=False))

    def __post_init__(self) -> None:
        # Made absolute: a program may change its working directory while the ledger is open.
        object.__setattr__(self, "url", absolute_url(self.url))
        for name in ("read_models", "archive"):
            if (place := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(place).absolute())

    def open(self) -> tuple[OpenLedger, ExitStack]:
        """Open everything, or nothing if a part fails.

        Returns:
            The open resources, and the stack that closes them: the commands first, the store last.
        """
        with ExitStack() as stack:
            store = open_log(self.url, create=self.create)
            stack.callback(store.close)
            if not isinstance(store, ArchiveStore):
                stack.callback(Keeper(store).close)
            path = None if self.read_models is None else Path(self.read_models)
            live: ReadModels | None = None
            operations: Operations | None = None
            past: AsOf | None = None
            if path is not None and path.is_dir():
                live = PublishedReadModels(path, store)
                stack.callback(live.close)
            elif path is not None:
                if self.hold_live:
                    live, operations = self._hold(store, path, stack)
                past = AsOf(store, path, self.archive)
                stack.callback(past.close)
            handler = CommandHandler(store, clock=self.clock, unknown_agents=self.unknown_agents)
            stack.callback(handler.close)
            opened = OpenLedger(
                store=store,
                handler=handler,
                actor=self.actor,
                clock=self.clock,
                live=live,
                past=past,
                path=path,
                operations=operations,
                engine=self.engine,
                runs_elsewhere=self.runs_elsewhere,
                image_addresses=self.image_addresses,
                callbacks=self.callbacks,
            )
            return opened, stack.pop_all()

    def _hold(
        self, store: Store, path: Path, stack: ExitStack
    ) -> tuple[ReadModels, Operations | None]:
        live = self._held(store, path) if self.ask_holder else LiveReadModels(store, path)
        if live is None:
            return HeldReadModels(path), None
        stack.callback(live.close)
        operations = Operations(store, live)
        if live.changed and self.on_changed == "rebuild":
            rebuilt = build_changed(operations, store, live.path)
            if rebuilt is not None:
                operations.switch(rebuilt.number)
        stack.callback(serve(live, operations).close)
        return live, operations

    def _held(self, store: Store, path: Path) -> LiveReadModels | None:
        """Open the live read models, or return None if another process has them and answers."""
        try:
            return hold_or_find(store, path, _PATIENCE_SECONDS)
        except ReadModelsLocked:
            # Tried again, because this error names the process that has them open.
            return LiveReadModels(store, path)
