"""The SQL page: a question with an address, answered by the server's own process for SQL."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field
from starlette.responses import Response

from projections.queries.sql_process import SqlAnswer
from runledger.errors import InvalidArgument
from runledger.ledger.part import LedgerPart
from runledger.server.call import Call
from runledger.web.address import Address
from runledger.web.run_groups import SQL
from runledger.web.run_search import AsOfNow
from runledger.web.table_file import FORMS, MEDIA, table_file, unlike
from runledger.web.view import View

FIRST = "SELECT status, count(*) AS runs\nFROM runs\nGROUP BY ALL\nORDER BY runs DESC"


class Question(AsOfNow):
    """One SELECT in DuckDB's SQL; none shows the tables."""

    statement: str | None = Field(default=None, max_length=6_000)


async def show(call: Call[Question, None]) -> View:
    """Return the tables, and the answer if something was asked; a fault is told beside it."""
    call.caller.expect_every_organization("sql")
    opened = call.ledger.part(LedgerPart).opened
    tables = await opened.ask(lambda q: q.rows(SQL["columns"]))
    facts: dict[str, Any] = {"tables": tables}
    problem = None
    if call.query.statement is not None:
        try:
            answer, position = await _ask(call)
        except InvalidArgument as e:
            problem = str(e)
            facts["problem"] = problem
        else:
            facts["answer"] = {
                "columns": answer.columns,
                "rows": [json.loads(line) for line in answer.lines],
                "truncated": answer.truncated,
                "position": position,
            }
    here = Address.of("sql").having(statement=call.query.statement, as_of=call.query.as_of)
    return View(
        "sql.html",
        "SQL",
        facts,
        {
            "statement": call.query.statement or FIRST,
            "files": [(words, here.twin(form)) for form, words in FORMS.items()],
            "answered": facts.get("answer"),
            "said": problem,
        },
        422 if problem else 200,
    )


async def download(call: Call[Question, None], form: str) -> Response:
    """Return the answer as CSV, lines of JSON, Parquet or Arrow."""
    call.caller.expect_every_organization("sql")
    if call.query.statement is None:
        raise InvalidArgument("sql: expected a statement, found none")
    answer, _ = await _ask(call)
    headers = {
        "Content-Disposition": f'attachment; filename="answer.{form}"',
        "Runledger-Truncated": str(answer.truncated).lower(),
    }
    if form in ("parquet", "arrow"):
        # The types are those of the values; without a row there are none.
        types = None if answer.lines else dict.fromkeys(unlike(answer.columns), "VARCHAR")
        return await table_file(_pieces(answer), types, "answer", form, headers)
    if form == "jsonl":
        lines = b"".join([line async for line in _pieces(answer)])
        return Response(lines, headers=headers, media_type=MEDIA[form])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(json.loads(line) for line in answer.lines)
    return Response(out.getvalue(), headers=headers, media_type=MEDIA[form])


async def _pieces(answer: SqlAnswer) -> AsyncIterator[bytes]:
    names = unlike(answer.columns)
    for line in answer.lines:
        yield json.dumps(dict(zip(names, json.loads(line), strict=True))).encode() + b"\n"


async def _ask(call: Call[Question, None]) -> tuple[SqlAnswer, int]:
    assert call.query.statement is not None
    return await call.services.sql.ask(call.query.statement, as_of=call.query.past().get("as_of"))
