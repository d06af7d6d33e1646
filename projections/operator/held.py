"""Read models that another process has open: that process answers queries on them.

A query is a method of Queries with its arguments. Both sides read its types from its signature, so
that requests and answers need no second description.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from pydantic import BaseModel, TypeAdapter, create_model

from projections.fold.engine import Progress
from projections.generations.live import LiveReadModels
from projections.operator.requests import PATIENCE_SECONDS, ask_holder, request
from projections.queries.queries import Queries, Take
from runledger import errors
from runledger.errors import InvalidArgument, LedgerError, ReadModelsError

QUESTION: Final = "ask"
"""The verb of a query; `method` is its name, `given` are its arguments as JSON."""
MOST_ROWS: Final = 100_000
"""Most rows of an analyst's answer that one process sends to another."""

_RECORDS: Final = (
    *("list_runs", "list_steps", "step", "open_runs", "meeting", "parked"),
    *("durations", "usage_totals", "percentiles", "agents", "callbacks"),
)
_ROWS: Final = ("silent_runs", "overdue_runs")
_SQL: Final = "sql"
_CATCH_UP: Final = "catch_up"
_POSITION: Final = "position"
_T = TypeVar("_T")


def answer_question(live: LiveReadModels, method: str, given: str) -> str:
    """Return the answer to another process's query, as JSON.

    Raises:
        ReadModelsError: if the query is unknown, or if its answer is too large.
    """
    if method == _POSITION:
        return str(live.position)
    if method == _CATCH_UP:
        return str(live.catch_up())
    if method == _SQL:
        statement = str(json.loads(given))
        return _to_text(live.ask(lambda queries: queries.sql_rows(statement, _some)))
    if method not in (*_RECORDS, *_ROWS):
        raise ReadModelsError(f"request: expected a question, found {method!r:.80}")
    read = _arguments(method).model_validate_json(given)
    arguments = {name: getattr(read, name) for name in type(read).model_fields}
    answer = live.ask(lambda queries: getattr(queries, method)(**arguments))
    if method in _ROWS:
        return _to_text(answer)
    return _answer(method).dump_json(answer).decode()


class HeldQueries:
    """Has the methods of Queries, which are executed by the process that has the read models
    open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in (*_RECORDS, *_ROWS):
            raise AttributeError(f"{type(self).__name__} has no {method!r}")

        def ask(*values: Any, **named: Any) -> Any:
            bound = inspect.signature(getattr(Queries, method)).bind(None, *values, **named)
            bound.apply_defaults()
            arguments = {k: v for k, v in bound.arguments.items() if k != "self"}
            text = _arguments(method).model_construct(**arguments).model_dump_json()
            found = ask_question(self._path, method, text)
            return _from_text(found) if method in _ROWS else _answer(method).validate_json(found)

        return ask

    def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return columns and rows of an analyst's SELECT."""
        return self.sql_rows(statement, lambda columns, rows: (columns, list(rows)))

    def sql_rows(self, statement: str, take: Take[_T]) -> _T:
        """Return the result of `take` for columns and rows; all rows are received before it is
        called."""
        columns, rows = _from_text(ask_question(self._path, _SQL, json.dumps(statement)))
        return take(columns, (tuple(row) for row in rows))


class HeldReadModels:
    """The live read models of another process, which catches up before each answer.

    `path` is the file that it has open.
    """

    follows: Final = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def position(self) -> int:
        """The last position of the read models."""
        return int(ask_question(self.path, _POSITION, ""))

    def catch_up(self, _progress: Progress | None = None) -> int:
        """Request that the recorded events are projected; return the position."""
        return int(ask_question(self.path, _CATCH_UP, ""))

    def ask(self, question: Callable[[Queries], _T]) -> _T:
        """Request the answer to a query."""
        queries: Any = HeldQueries(self.path)
        return question(queries)

    def copy(self, file: Path) -> int:
        """Request a copy at a path that both processes can access; return its position."""
        return int(request(self.path, "copy", file=str(file.absolute())))

    def close(self) -> None:
        """Do nothing: this process has no file open."""


def ask_question(path: Path, method: str, given: str) -> str:
    """Return the other process's answer, or raise its error with the same class and message."""
    answer = ask_holder(path, QUESTION, PATIENCE_SECONDS, method=method, given=given)
    if "error" not in answer:
        return answer["answer"]
    kind = getattr(errors, answer.get("kind", ""), None)
    if not (inspect.isclass(kind) and issubclass(kind, LedgerError)):
        raise ReadModelsError(answer["error"])
    # The class's initialiser would build the message from attributes that are not available here.
    failed = kind.__new__(kind)
    Exception.__init__(failed, answer["error"])
    raise failed


@cache
def _arguments(method: str) -> type[BaseModel]:
    hints = get_type_hints(getattr(Queries, method))
    fields: Mapping[str, Any] = {n: (hint, ...) for n, hint in hints.items() if n != "return"}
    return create_model(method, **fields)


@cache
def _answer(method: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(getattr(Queries, method))["return"])


def _some(columns: list[str], rows: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    made = list(islice(rows, MOST_ROWS + 1))
    if len(made) > MOST_ROWS:
        raise InvalidArgument(
            f"sql: expected {MOST_ROWS:,} rows at most from a process that does other work beside, "
            f"found more; ask a published copy (`runledger publish`)"
        )
    return columns, made


def _to_text(value: Any) -> str:
    try:
        return json.dumps(value, default=_tagged)
    except TypeError as e:
        raise InvalidArgument(f"sql: {e}; ask a published copy (`runledger publish`)") from e


def _from_text(text: str) -> Any:
    return json.loads(text, object_hook=_untagged)


_TAG: Final = "\0type"
"""No column and no key has this name: DuckDB allows no zero byte in names."""


def _tagged(value: Any) -> dict[str, str]:
    # A datetime is a date too.
    for kind in (datetime, date, Decimal):
        if isinstance(value, kind):
            text = str(value) if isinstance(value, Decimal) else value.isoformat()
            return {_TAG: kind.__name__, "value": text}
    raise TypeError(f"expected a value that JSON can hold, found a {type(value).__name__}")


def _untagged(found: dict[str, Any]) -> Any:
    match found.get(_TAG):
        case "datetime":
            return datetime.fromisoformat(found["value"])
        case "date":
            return date.fromisoformat(found["value"])
        case "Decimal":
            return Decimal(found["value"])
    return found
