"""A process that delivers callbacks, separate from any number of writers."""

import asyncio
import signal

from runledger.callbacks.settings import CallbackSettings
from runledger.command_handling.handler import CommandHandler
from runledger.store import open_store


async def dispatch(url: str, settings: CallbackSettings) -> None:
    """Deliver the callbacks of the store at `url` until SIGINT or SIGTERM.

    Raises:
        OnlyRead: if the store is read-only, so that no attempt could be recorded.
    """
    # Every ledger loads this module with the settings; the delivery code is loaded only for
    # delivery.
    from runledger.callbacks.dispatcher import Dispatcher

    store = await asyncio.to_thread(open_store, url, create=False)
    handler = CommandHandler(store)
    try:
        store.expect_writable()
        dispatcher = Dispatcher(store, handler, settings)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        dispatcher.start()
        await stopped.wait()
        await dispatcher.close()
    finally:
        handler.close()
        store.close()
