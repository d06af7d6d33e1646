"""Every view of the page that can be read, so that what holds of all is asked of all."""

from urllib.parse import urlencode

from hostile import ATTACKS, HOSTILE
from sample import RICH

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
    "/runs",
    "/runs?order_by=duration&ascending=true",
    "/runs?order_by=total_tokens&columns=tokens&columns=conversation&columns=template&columns=error",
    "/runs?statuses=failed&statuses=cancelled&duration=1ms",
    f"/runs/{RICH}",
    f"/runs/{RICH}?event=2",
    f"/runs/{HOSTILE}",
    f"/runs/compare?run={RICH}&run={HOSTILE}",
)
