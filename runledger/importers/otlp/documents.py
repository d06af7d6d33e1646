"""Files of spans, in any of the forms that tools write: found out by what the document has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.importers.json_stream import JsonStream
from runledger.importers.otlp import jaeger, otlp_json, otlp_protobuf, sdk_list
from runledger.importers.otlp.span import Span
from runledger.importers.source_file import Bytes, opened

_SPACE: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


def spans_of(path: Path) -> Iterator[Span]:
    """Yield the spans of a file, plain or gzip.

    JSON: OTLP's object, a list or lines of it; Tempo's batches; Jaeger's result of a query; a list
    or lines of spans as SDKs print them; the same under `spans`, as CloudWatch has them. All else
    is OTLP's protobuf, each message after its length.
    Raises ImportFailed for a file that is broken, InvalidArgument for a document that is none of
    these.
    """
    with opened(path) as source:
        head = source.stream.read1(1)
        while head and head in _SPACE:
            head = source.stream.read1(1)
        stream = _Again(head, source.stream)
        if head in (b"{", b"[", _BOM[:1], b""):
            for document in JsonStream(stream).documents():
                yield from _document(document)
        else:
            yield from _messages(path)


def _messages(path: Path) -> Iterator[Span]:
    with opened(path) as source:
        pieces = list(iter(lambda: source.stream.read1(1 << 20), b""))
    for message in otlp_protobuf.messages(b"".join(pieces)):
        yield from otlp_protobuf.spans(message)


def _document(document: Any) -> Iterator[Span]:
    if isinstance(document, list):
        for one in document:
            yield from _document(one)
        return
    if not isinstance(document, dict):
        raise InvalidArgument(f"expected an object with spans, found {document!r:.80}")
    if any(key in document for key in otlp_json.RESOURCE_SPANS):
        yield from otlp_json.spans(document)
    elif sdk_list.is_span(document):
        yield sdk_list.span(document)
    elif isinstance(document.get("data"), list):
        for trace in document["data"]:
            if isinstance(trace, dict):
                yield from jaeger.spans(trace)
    elif isinstance(document.get("spans"), list):
        if "traceID" in document:
            yield from jaeger.spans(document)
        else:
            yield from _document(document["spans"])
    elif isinstance(document.get("trace"), dict):
        yield from _document(document["trace"])
    else:
        keys = ", ".join(sorted(document)[:8]) or "no keys"
        raise InvalidArgument(f"expected spans of OTLP, Tempo, Jaeger or an SDK, found {keys}")


class _Again:
    """A stream of which the first byte was read, and is given again."""

    def __init__(self, head: bytes, stream: Bytes) -> None:
        self._head = head
        self._stream = stream

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, none at the end."""
        head, self._head = self._head, b""
        return head or self._stream.read1(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line with its end."""
        head, self._head = self._head, b""
        return head + self._stream.readline(size)

    def tell(self) -> int:
        """Return the place in the stream."""
        return self._stream.tell()

    def seek(self, place: int, /) -> int:
        """Go to a place in the stream."""
        self._head = b""
        return self._stream.seek(place)
