"""Every view of the page that can be read, so that what holds of all is asked of all."""

import time
from collections.abc import Callable
from urllib.parse import urlencode

from hostile import ATTACKS, HOSTILE
from sample import RICH

from runledger.sql_file import quoted

ENDLESS = "SELECT max(a.range % (b.range + 1)) FROM range(9999999) a, range(9999999) b"
"""A question of many hours."""

WITHOUT_TEXT = frozenset({"begin", "fresh", "image"})
"""Routes that are read and show no text: they lead elsewhere, count, or are a picture."""

VIEWS = (
    "/overview",
    "/overview?start_date=2020-01-01&as_of=40",
    "/agents",
    "/agents/one?name=agent-rich",
    "/conversations",
    "/conversations/one?name=conv-sample",
    "/tools",
    f"/tools/one?{urlencode({'name': ATTACKS[0]})}",
    "/models",
    f"/models/one?{urlencode({'name': ATTACKS[1]})}",
    "/operations",
    "/sql",
    "/sql?statement=SELECT+*+FROM+runs",
    "/sql?statement=SELECT+project_id,+count(*)+AS+n+FROM+runs+GROUP+BY+1&name=Projects",
    f"/sql?{urlencode({'statement': f'SELECT 1 AS {quoted(ATTACKS[1])}', 'name': ATTACKS[0]})}",
    "/runs",
    f"/runs?{urlencode({'project_id': ATTACKS[1], 'tools_used': ATTACKS[0]})}",
    "/runs?order_by=duration&ascending=true",
    "/runs?order_by=total_tokens&columns=tokens&columns=conversation&columns=template&columns=error",
    "/runs?statuses=failed&statuses=cancelled&duration=1ms",
    f"/runs/{RICH}",
    f"/runs/{RICH}?event=2",
    f"/runs/{HOSTILE}",
    f"/runs/compare?run={RICH}&run={HOSTILE}",
)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail if it does not within two minutes."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
