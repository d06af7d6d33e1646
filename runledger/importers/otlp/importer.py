"""Brings files of spans into a ledger: each trace as its runs, and what is new of them again."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from runledger.command_handling.handler import CommandHandler
from runledger.errors import ImportFailed, InvalidArgument
from runledger.importers.json_lines import files_in
from runledger.importers.otlp.assembly import found_run
from runledger.importers.otlp.conventions import Kind
from runledger.importers.otlp.documents import spans_of
from runledger.importers.otlp.recorded import recorded
from runledger.importers.otlp.run import Recorded, Trace
from runledger.importers.otlp.span import Span
from runledger.importers.recorder import LARGE, RunRecorder
from runledger.importers.report import Advance, ImportReport
from runledger.run import Actor
from runledger.store import Store

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".pb", ".pb.gz", ".binpb")


class OtelImport:
    """One import; `report` fills while it runs.

    The spans of a trace may lie anywhere in the files, so that all of them are in memory, as JSON,
    until the last file is read.
    """

    def __init__(self, store: Store, handler: CommandHandler, actor: Actor) -> None:
        self.report = ImportReport("runs")
        self._store = store
        self._handler = handler
        self._actor = actor

    async def run(self, paths: Sequence[Path], advance: Advance = lambda _: None) -> ImportReport:
        """Import files, and those in folders; see runledger.importers.otlp.documents.

        Raises OnlyRead, before anything is read, if nothing can be recorded.
        """
        self._store.expect_writable()
        traces: dict[str, list[bytes]] = {}
        for path in paths:
            try:
                for file in files_in([path], SUFFIXES):
                    self._file(file, traces)
                    advance(file.stat().st_size if file.is_file() else 0)
            except ImportFailed as e:
                self.report.refuse(str(path), e)
        async with RunRecorder(
            self._store, self._handler, self._actor, self.report, at_once=LARGE
        ) as recorder:
            for trace_id in sorted(traces):
                spans = [Span.from_json(text) for text in traces.pop(trace_id)]
                await self._trace(trace_id, spans, recorder)
        return self.report

    def _file(self, path: Path, traces: dict[str, list[bytes]]) -> None:
        try:
            for number, span in enumerate(spans_of(path), start=1):
                if span.valid:
                    traces.setdefault(span.trace_id, []).append(span.to_json())
                else:
                    ids = f"{span.trace_id!r:.40} and {span.span_id!r:.40}"
                    self.report.refuse(
                        f"{path}: span {number:,}",
                        f"expected ids of 32 and 16 hexadecimal digits, not all zero, found {ids}",
                    )
        except (ImportFailed, InvalidArgument) as e:
            self.report.refuse(str(path), e)

    async def _trace(self, trace_id: str, spans: Iterable[Span], recorder: RunRecorder) -> None:
        trace = Trace(spans, self._actor.organization)
        known: dict[str, Recorded] = {}
        for group in trace.groups:
            run_id = trace.run_id(group)
            known[run_id] = await asyncio.to_thread(recorded, self._store, run_id)
        self._tell(trace)
        for run in trace.runs(known):
            for one in run.counting.left_out:
                if one.node in run.group.nodes:
                    self.report.left_out[one.reason] += 1
            place = f"trace {trace_id}, span {run.group.key}"
            await recorder.submit(place, found_run(run, ended=True))

    def _tell(self, trace: Trace) -> None:
        """Count what the table of conventions has no meaning for."""
        for node in trace.nodes:
            for name in trace.reader.refused(node.span):
                self.report.not_understood[f"{name}: no count of tokens"] += 1
            if not trace.groups:
                scope = node.span.scope_name or "no scope"
                self.report.not_understood[f"span of {scope} in a trace without an agent"] += 1
            elif node.kind is Kind.OTHER and node.counts.reported:
                self.report.not_understood[f"span {node.span.name:.40} with counts, no kind"] += 1
