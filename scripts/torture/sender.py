"""A dispatcher as a process, with a short lease and short waits. Argument: the store's URL."""

import asyncio
import sys
import time

from runledger import LedgerError
from runledger.callbacks import CallbackSettings, dispatch

SETTINGS = CallbackSettings(
    allow_http=True,
    allow_private_callbacks=True,
    calendar=(0.0, *(0.2,) * 200),
    timeout_seconds=1.0,
    slow_after_seconds=0.2,
    breaker_failures=1_000,
    lease_seconds=1.0,
    takeover_seconds=0.1,
)

if __name__ == "__main__":
    while True:
        print("ready", flush=True)
        try:
            asyncio.run(dispatch(sys.argv[1], SETTINGS))
            break
        except LedgerError as e:
            print(f"{type(e).__name__}: {e}", flush=True)
            time.sleep(0.1)
