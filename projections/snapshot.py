"""The read models as of one position, while live goes on; another generation can be put beside."""

from pathlib import Path
from typing import Any

from projections.diff import SQL as DIFF
from projections.generation import SQL, Generation


class Snapshot:
    """A transaction that sees a generation as it was when the snapshot was taken.

    `db` is its connection; temporary tables made there are gone at the end.
    """

    def __init__(self, generation: Generation) -> None:
        self.db: Any = generation.cursor()
        # Attaching and detaching is no transaction's business, and refused inside of one in use.
        self._side = generation.cursor()
        self._attached = False
        self.db.execute("BEGIN")
        # The first statement, not BEGIN, decides what the transaction sees.
        ((self.position,),) = self.db.execute(SQL["position"]).fetchall()

    def attach(self, path: Path) -> None:
        """Put a closed generation beside; the diff knows what it is called."""
        self._side.execute(DIFF["attach"], {"path": str(path)})
        self._attached = True

    def close(self) -> None:
        """Let go of both."""
        self.db.execute("ROLLBACK")
        if self._attached:
            self._side.execute(DIFF["detach"])
        self._side.close()
        self.db.close()
