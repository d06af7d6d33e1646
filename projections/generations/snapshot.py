"""The read models as of one position, while projecting goes on; another generation can be
attached."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import duckdb

from projections.fold.file_errors import unusable
from projections.fold.generation import SQL as GENERATION
from projections.fold.generation import Generation
from runledger.ids import random_hex
from runledger.sql_file import render, statements

SQL: Final = statements(Path(__file__).with_name("snapshot.sql"))


class Snapshot:
    """A transaction that sees a generation as it was when the snapshot was taken.

    `db` is its connection; temporary tables made there are gone at the end.
    """

    def __init__(self, generation: Generation) -> None:
        self.db: Any = generation.cursor()
        # Attaching and detaching are not transactional, and are refused inside a transaction in
        # use.
        self._side = generation.cursor()
        self._detach: str | None = None
        self.db.execute("BEGIN")
        # The first statement, not BEGIN, decides what the transaction sees.
        ((position,),) = self.db.execute(GENERATION["position"]).fetchall()
        self.position = int(position)

    def attach(self, path: Path) -> None:
        """Attach a closed generation, under the name that the diff uses."""
        self._side.execute(SQL["attach"], {"path": str(path)})
        self._detach = SQL["detach"]

    def copy_to(self, path: Path) -> None:
        """Write the rows of the snapshot into a new file; this ends the snapshot.

        Raises:
            ReadModelsError: if the file cannot be written.
        """
        copy = f"runledger_copy_{random_hex()}"
        try:
            self._side.execute(render(SQL["attach_copy"], copy=copy), {"path": str(path)})
            self._detach = render(SQL["detach_copy"], copy=copy)
            ((database,),) = self.db.execute(SQL["database"]).fetchall()
            self.db.execute(render(SQL["copy"], database=database, copy=copy))
            self.db.execute("COMMIT")
            self._let_go()
        except duckdb.Error as e:
            raise unusable(path, e) from e
        self.db.execute("BEGIN")

    def close(self) -> None:
        """Close the connection, and detach the attached generation."""
        # An earlier failure, which is already being raised, may have ended both.
        with suppress(duckdb.Error):
            self.db.execute("ROLLBACK")
        with suppress(duckdb.Error):
            self._let_go()
        self._side.close()
        self.db.close()

    def _let_go(self) -> None:
        detach, self._detach = self._detach, None
        if detach is not None:
            self._side.execute(detach)
