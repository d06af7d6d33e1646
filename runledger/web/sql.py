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
from runledger.server.tables import MEDIA
from runledger.web.address import Address
from runledger.web.answer_chart import answer_chart, number_columns
from runledger.web.run_groups import SQL
from runledger.web.run_search import AsOfNow
from runledger.web.table_file import FORMS, table_file, unlike
from runledger.web.view import View

FIRST = "SELECT status, count(*) AS runs\nFROM runs\nGROUP BY ALL\nORDER BY runs DESC"


class Question(AsOfNow):
    """One SELECT in DuckDB's SQL; none shows the tables.

    `name` is what the reader calls the question. `bars` is the place of the column that is drawn.
    """

    statement: str | None = Field(default=None, max_length=6_000)
    name: str | None = Field(default=None, max_length=80)
    bars: int | None = Field(default=None, ge=0)


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
    asked = call.query
    here = Address.of("sql").having(statement=asked.statement, as_of=asked.as_of, name=asked.name)
    return View(
        "sql.html",
        asked.name or "SQL",
        facts,
        {
            "statement": asked.statement or FIRST,
            "name": asked.name,
            "files": [(words, here.twin(form)) for form, words in FORMS.items()],
            **_drawn(facts.get("answer"), asked.bars, here),
            "answered": facts.get("answer"),
            "said": problem,
        },
        422 if problem else 200,
    )


def _drawn(answer: dict[str, Any] | None, bars: int | None, here: Address) -> dict[str, Any]:
    """Return the chart of an answer, and the addresses of those of its other columns."""
    columns, rows = ([], []) if answer is None else (answer["columns"], answer["rows"])
    places = number_columns(columns, rows)
    if not places:
        return {"chart": None, "drawable": [], "drawn_column": None}
    # A number in front is more often what the rows are named by than what they are about.
    place = bars if bars in places else next((one for one in places if one), places[0])
    return {
        "chart": answer_chart(columns, rows, place),
        "drawable": [(columns[one], here.having(bars=one)) for one in places],
        "drawn_column": columns[place],
    }


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
