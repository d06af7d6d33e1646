"""A generation: one complete set of read models in one DuckDB file, with its checkpoint."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from projections.read_models import ROOT, ReadModel, discover
from runledger.errors import ReadModelsError, ReadModelsLocked
from runledger.sql_file import statements

LAYOUT: Final = 1
"""Of the generation's own tables; the read models are told apart by the digests of their SQL."""

SQL: Final = statements(ROOT / "generation.sql")
MEMORY_LIMIT: Final = "640MiB"
"""For DuckDB's own pages, so that a process that projects stays under 1 GiB; larger work spills."""


class Generation:
    """An open generation. One process at a time can have it open, readers included."""

    def __init__(
        self,
        path: str | Path,
        models: Sequence[ReadModel] | None = None,
        *,
        memory_limit: str = MEMORY_LIMIT,
    ) -> None:
        self.path = Path(path)
        self.models = tuple(discover() if models is None else models)
        self._db = self._connect(memory_limit)
        try:
            self._db.execute(SQL["settings"])
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _connect(self, memory_limit: str) -> Any:
        try:
            return duckdb.connect(str(self.path), config={"memory_limit": memory_limit})
        except duckdb.IOException as e:
            holder = re.search(r"PID (\d+)", str(e))
            if "lock" in str(e).lower():
                raise ReadModelsLocked(
                    f"read models {str(self.path)!r}: expected no other process, found "
                    f"{'process ' + holder[1] if holder else 'one'} holding the file; "
                    f"ask that process, or read a published copy"
                ) from e
            raise ReadModelsError(f"read models {str(self.path)!r}: {_first_line(e)}") from e
        except duckdb.Error as e:
            raise ReadModelsError(f"read models {str(self.path)!r}: {_first_line(e)}") from e

    def _prepare(self) -> None:
        ((there,),) = self._db.execute(SQL["has_generation"]).fetchall()
        if there:
            self._check()
            return
        self._db.execute("BEGIN")
        self._db.execute(SQL["create"])
        self._db.execute(SQL["create_models"])
        self._db.execute(SQL["begin"], {"layout": LAYOUT})
        for model in self.models:
            self._db.execute(model.schema)
            self._db.execute(SQL["add_model"], {"name": model.name, "digest": model.digest})
        self._db.execute("COMMIT")

    def _check(self) -> None:
        ((layout, _),) = self._db.execute(SQL["read"]).fetchall()
        if layout > LAYOUT:
            raise ReadModelsError(
                f"read models {str(self.path)!r}: expected layout {LAYOUT} or older, "
                f"found {layout}; "
                f"they were built by a newer version of runledger"
            )

    def changed_models(self) -> list[str]:
        """Return the names of read models whose SQL is not the one that made their rows."""
        built = dict(self._db.execute(SQL["models"]).fetchall())
        today = {model.name: model.digest for model in self.models}
        return sorted(name for name in built.keys() | today if built.get(name) != today.get(name))

    @property
    def position(self) -> int:
        """The last position whose event is in every read model."""
        ((_, position),) = self._db.execute(SQL["read"]).fetchall()
        return int(position)

    def advance(self, position: int) -> None:
        """Move the checkpoint; call it inside the transaction of the rows."""
        self._db.execute(SQL["advance"], {"position": position})

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Give the writing connection; commit at the end, roll back on any error."""
        self._db.execute("BEGIN")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def cursor(self) -> Any:
        """Return a connection for one thread that reads."""
        cursor = self._db.cursor()
        cursor.execute(SQL["settings"])
        return cursor

    def close(self) -> None:
        """Write the file whole and let go of it."""
        self._db.close()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
