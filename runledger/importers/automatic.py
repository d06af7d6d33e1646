"""Imports files of any recognised format, each by the importer of its format."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.claude_code.importer import ClaudeCodeImport
from runledger.importers.codex.importer import CodexImport
from runledger.importers.event_lines.importer import EventImport
from runledger.importers.inspect_ai.importer import InspectImport
from runledger.importers.json_lines import files_in
from runledger.importers.langfuse.importer import LangfuseImport
from runledger.importers.otlp.importer import OtelImport
from runledger.importers.pi.importer import PiImport
from runledger.importers.recognition import FORMATS, SUFFIXES, Format, recognised
from runledger.importers.report import Advance, ImportReport
from runledger.importers.tau2.importer import Tau2Import
from runledger.importers.tau2.result_file import about_folder, folder_of
from runledger.run import Actor
from runledger.store import Store


class _Import(Protocol):
    async def run(self, paths: Sequence[Path], advance: Advance = ...) -> ImportReport:
        """Import the files."""


_IMPORTS: Final[dict[Format, Callable[[Store, CommandHandler, Actor], _Import]]] = {
    "claude-code": ClaudeCodeImport,
    "codex": CodexImport,
    "pi": PiImport,
    "langfuse": LangfuseImport,
    "inspect": InspectImport,
    "tau2": Tau2Import,
    "otel": OtelImport,
    "jsonl": lambda store, handler, _actor: EventImport(store, handler),
}


class Recognised(NamedTuple):
    """The recognised files by format, and the files of unknown formats."""

    files: dict[Format, list[Path]]
    unknown: list[Path]
    failed: list[tuple[Path, str]]


def recognise(paths: Sequence[Path]) -> Recognised:
    """Return the formats of files, and of files in folders that may have one."""
    files: dict[Format, list[Path]] = {}
    unknown: list[Path] = []
    failed: list[tuple[Path, str]] = []
    for given in paths:
        try:
            for path in files_in([given], SUFFIXES):
                if (result := _folder_result(path)) is not None:
                    # Its simulations are files of their own, which the importer reads with it.
                    if result not in files.setdefault("tau2", []):
                        files["tau2"].append(result)
                    continue
                kind = recognised(path)
                (unknown if kind is None else files.setdefault(kind, [])).append(path)
        except ImportFailed as e:
            failed.append((given, str(e)))
    return Recognised({kind: files[kind] for kind in FORMATS if kind in files}, unknown, failed)


def _folder_result(path: Path) -> Path | None:
    """Return the `results.json` of the tau2 folder that a file belongs to, None if to none."""
    folder = folder_of(path)
    if folder is None:
        return None
    result = folder / "results.json"
    try:
        about_folder(result)
    except (ImportFailed, InvalidArgument):
        return None
    return result


class AutoImport:
    """Imports of all formats, each with its report."""

    def __init__(self, store: Store, handler: CommandHandler, actor: Actor) -> None:
        self._store = store
        self._handler = handler
        self._actor = actor

    async def run(
        self, found: Recognised, advance: Advance = lambda _: None
    ) -> dict[Format, ImportReport]:
        """Import the recognised files; return the report of each format.

        Raises:
            OnlyRead: if nothing can be recorded; checked before anything is read.
        """
        self._store.expect_writable()
        return {
            kind: await _IMPORTS[kind](self._store, self._handler, self._actor).run(paths, advance)
            for kind, paths in found.files.items()
        }
