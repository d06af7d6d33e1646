"""A request that the server refuses before any of the ledger's code has seen it."""

from collections.abc import Mapping


class Refusal(Exception):
    """Carries the status of the answer, its words, and what the problem document adds.

    `status` is the HTTP status, `detail` one sentence that names only what the caller sent;
    `headers` are added to the answer, `more` to the problem document; `code` is the last word of
    the problem's type. With `close` the connection is closed after the answer, because the rest of
    the request was not read.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.code, self.close = status, detail, code, close
        self.headers = dict(headers or {})
        self.more = dict(more or {})
