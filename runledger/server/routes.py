"""All routes of the server; dispatch and the OpenAPI follow from this one list."""

from typing import Final

from runledger.server import health, numbers
from runledger.server.api import (
    batches,
    commands,
    description,
    events,
    expiry,
    following,
    lists,
    operations,
    pages,
    prices,
    read_models,
    single_runs,
    sql,
    views,
)
from runledger.server.route import Route
from runledger.server.v1 import cancels, messages, runs, steps, streams, unanswered

ROUTES: Final[tuple[Route, ...]] = (
    *health.ROUTES,
    *numbers.ROUTES,
    *batches.ROUTES,
    *commands.ROUTES,
    *single_runs.ROUTES,
    *following.ROUTES,
    *sql.ROUTES,
    *description.ROUTES,
    *lists.ROUTES,
    *pages.ROUTES,
    *operations.ROUTES,
    *read_models.ROUTES,
    *events.ROUTES,
    *expiry.ROUTES,
    *views.ROUTES,
    *prices.ROUTES,
    *runs.ROUTES,
    *messages.ROUTES,
    *steps.ROUTES,
    *cancels.ROUTES,
    *streams.ROUTES,
    *unanswered.ROUTES,
)
