"""A dispatcher as a process of its own, to be killed; arguments: the URL, the settings as JSON."""

import asyncio
import json
import logging
import sys

from runledger.callbacks import CallbackSettings, dispatch

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
    given = json.loads(sys.argv[2])
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    asyncio.run(dispatch(sys.argv[1], CallbackSettings(**{**given, **lists})))
