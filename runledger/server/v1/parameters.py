"""Parameters that many of these routes share, named and defaulted as the official client does."""

from typing import Annotated, Literal

from pydantic import Field

from runledger.server.refusal import Refusal
from runledger.server.route import Lenient

Order = Literal["asc", "desc"]
Limit = Annotated[int, Field(ge=1, le=1000)]


class Page(Lenient):
    """`after` goes on in the requested order; `before` gives the page that ends there, in the
    requested order too. The replaced server mirrors them, so that its own client goes in circles.
    """

    after: str | None = None
    before: str | None = None
    limit: Limit = 100
    order: Order = "desc"
    order_by: Literal["created_at"] = "created_at"

    def expect_one_cursor(self) -> None:
        """Raise Refusal with status 422 if both cursors are given."""
        if self.after is not None and self.before is not None:
            raise Refusal(422, "expected `after` or `before`, found both")


class MessagePage(Page):
    """Messages come in the order in which they were recorded unless asked otherwise."""

    order: Order = "asc"
