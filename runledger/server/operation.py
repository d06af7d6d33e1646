"""A long operation: what was asked, how far it is, what came of it; kept as a file."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

Kind = Literal[
    "replay", "switch", "verify", "compare", "explain", "archive", "publish", "copy", "export"
]
State = Literal["running", "done", "failed", "cancelled", "interrupted"]


class Begun(BaseModel):
    """The generation that a replay builds, where it begins, and where the log ends."""

    number: int
    position: int
    head: int


class Operation(BaseModel):
    """One operation. `files` are names of what it wrote, to be fetched from the server.

    `interrupted` is one whose server ended meanwhile; a replay that is asked for again goes on
    where it was. `events` were read so far, up to `position`.
    """

    id: str
    kind: Kind
    arguments: dict[str, Any] = Field(default_factory=dict)
    state: State = "running"
    begun: Begun | None = None
    events: int = 0
    position: int | None = None
    result: Any = None
    problem: dict[str, Any] | None = None
    files: list[str] = Field(default_factory=list)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None

    def end(self, state: State) -> None:
        """Say how it ended."""
        self.state, self.ended_at = state, datetime.now(UTC)

    def keep(self, folder: Path) -> None:
        """Write it down, whole or not at all."""
        made = folder / f"{self.id}.json"
        beside = made.with_suffix(".json.new")
        beside.write_text(self.model_dump_json(), encoding="utf-8")
        os.replace(beside, made)


def kept(folder: Path) -> list[Operation]:
    """Return the operations of a folder in their order; those that ran are interrupted."""
    found = [
        Operation.model_validate_json(file.read_text(encoding="utf-8"))
        for file in folder.glob("operation-*.json")
    ]
    for operation in found:
        if operation.state == "running":
            operation.end("interrupted")
            operation.keep(folder)
    return sorted(found, key=lambda operation: operation.created_at)
