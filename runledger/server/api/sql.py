"""SQL over the read models of all organizations, which DuckDB cannot keep apart."""

import csv
import io
import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from starlette.responses import Response

from projections.queries.sql_process import SqlAnswer
from runledger.parameters import position_or_moment
from runledger.server.call import Call, Reply
from runledger.server.route import JSON, NDJSON, Route, Strict
from runledger.server.tables import MEDIA, accepted

_CSV: Final = MEDIA["csv"]
_PRODUCED: Final = (JSON, NDJSON, _CSV)


class Question(Strict):
    """One SELECT in DuckDB's SQL; `timeout_s` may be shorter than the server's, not longer."""

    statement: Annotated[str, Field(max_length=100_000)]
    as_of: str | int | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None


class Answer(BaseModel):
    """Rows in the order of `columns`; `truncated` says that there are more of them."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool
    position: int


async def ask_sql(call: Call[Strict, Question]) -> Reply | Response:
    """Ask the read models in SQL; nothing can be written, and no file be read."""
    call.caller.expect_every_organization("sql")
    given = call.body.as_of
    as_of = None if given is None else position_or_moment(str(given))
    answer, position = await call.services.sql.ask(
        call.body.statement, seconds=call.body.timeout_s, as_of=as_of
    )
    headers = {
        "Runledger-Position": str(position),
        "Runledger-Truncated": str(answer.truncated).lower(),
    }
    media = accepted(call.headers.get("accept", ""), _PRODUCED)
    if media == NDJSON:
        return Response(_lines(answer), headers=headers, media_type=NDJSON)
    if media == _CSV:
        return Response(_csv(answer), headers=headers, media_type=_CSV)
    rows = [json.loads(line) for line in answer.lines]
    made = Answer(
        columns=list(answer.columns), rows=rows, truncated=answer.truncated, position=position
    )
    return Reply(made, headers=headers)


def _lines(answer: SqlAnswer) -> bytes:
    names = _distinct(answer.columns)
    rows = (dict(zip(names, json.loads(line), strict=True)) for line in answer.lines)
    return b"".join(json.dumps(row).encode("ascii") + b"\n" for row in rows)


def _csv(answer: SqlAnswer) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    for line in answer.lines:
        row = json.loads(line)
        writer.writerow(
            json.dumps(value) if isinstance(value, list | dict) else value for value in row
        )
    return out.getvalue().encode("utf-8")


def _distinct(columns: Any) -> list[str]:
    """Return the names of columns, numbered where one comes again."""
    names: list[str] = []
    for column in columns:
        name, number = column, 0
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/sql",
        "api_ask_sql",
        ask_sql,
        scope="sql",
        query=Strict,
        body=Question,
        answer=Answer,
        produces=_PRODUCED,
        errors=(400, 403, 422, 501, 503),
        summary="Ask the read models in SQL.",
    ),
)
