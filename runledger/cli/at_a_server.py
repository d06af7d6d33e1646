"""The commands that need the store itself, and why a server cannot do their work."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Protocol

    class _Context(Protocol):
        """A context of click, of which typer has its own class."""

        @property
        def parent(self) -> "_Context | None": ...
        @property
        def info_name(self) -> str | None: ...


_KEYS: Final = "its keys are made and revoked on its own machine, by a user who may read the store"
_IMPORT: Final = (
    "it continues what the log has; import into a store of your own, and send what `export jsonl` "
    "writes of it with `import jsonl`"
)
_SPANS: Final = "it reads the spans that lie in the store"
_WHOLE: Final = "it copies the store as a whole, which `export jsonl` does over HTTP event by event"
_PROOF: Final = "a proof by the server alone would prove nothing about it"
_NARROWED: Final = (
    "it narrows events by read models that it has open; export all, import them into a store of "
    "your own, and narrow there"
)

REASONS: Final = {
    "serve": "a server serves a store",
    "keys create": _KEYS,
    "keys list": _KEYS,
    "keys revoke": _KEYS,
    "doctor": "it looks at the store and the files; /readyz tells how a server is",
    "migrate": "it changes the tables of the store",
    "import auto": _IMPORT,
    "import claude-code": _IMPORT,
    "import codex": _IMPORT,
    "import inspect": _IMPORT,
    "import langfuse": _IMPORT,
    "import otel": _IMPORT,
    "import pi": _IMPORT,
    "import tau2": _IMPORT,
    "watch claude-code": _IMPORT,
    "otel status": _SPANS,
    "otel explain": _SPANS,
    "otel reassemble": _SPANS,
    "dispatch": "it takes turns with other dispatchers in the store",
    "export jsonl --where": _NARROWED,
    "verify --log": _PROOF,
    "archive": "an archive is continued where the log is; the operation `archive` of a server does",
    "backup": _WHOLE,
    "restore": _WHOLE,
    "checkpoint write": _PROOF,
    "prove": _PROOF,
}
"""Command → the reason. Every other command works on the ledger of a server, or needs no ledger."""


def words_of(ctx: "_Context") -> str:
    """Return the words of a command, such as `import tau2`."""
    if ctx.parent is None:
        return ""
    return f"{words_of(ctx.parent)} {ctx.info_name}".lstrip()


def expect_store(ctx: "_Context", store: str, option: str = "") -> None:
    """Raise LedgerError if the command, with this option, works on the store itself.

    Parameters:
        ctx: the command.
        store: the address of a server.
        option: an option that the reason is about, such as `--log`.
    """
    from runledger.errors import LedgerError

    if (reason := REASONS.get(f"{words_of(ctx)} {option}".rstrip())) is not None:
        raise LedgerError(
            f"--store {store}: expected a store, as {reason}; found the address of a server"
        )
