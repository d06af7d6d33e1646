"""Every view of the page that can be read, so that what holds of all is asked of all."""

from hostile import HOSTILE
from sample import RICH

VIEWS = (
    "/overview",
    "/overview?start_date=2020-01-01&as_of=40",
    "/agents",
    "/tools",
    "/models",
    "/operations",
    "/sql",
    "/sql?statement=SELECT+*+FROM+runs",
    "/runs",
    "/runs?order_by=duration&ascending=true",
    "/runs?statuses=failed&statuses=cancelled&duration=1ms",
    f"/runs/{RICH}",
    f"/runs/{RICH}?event=2",
    f"/runs/{HOSTILE}",
)
