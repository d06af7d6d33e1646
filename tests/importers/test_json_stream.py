"""The streaming reader sees the same document as json, wherever the chunks end."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, texts

from runledger.errors import ImportFailed
from runledger.importers import json_stream
from runledger.importers.json_stream import JsonStream

documents = st.dictionaries(texts, st.lists(json_values, max_size=4), max_size=4)


def _read(text: str) -> dict[str, list[object]]:
    stream = JsonStream(io.BytesIO(text.encode()))
    return {key: list(stream.elements()) for key in stream.members()}


@given(documents, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_any_document_in_any_chunks(
    document: dict[str, list[object]], chunk: int, indent: int | None, ascii: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert _read(text) == document


@given(documents.filter(len), st.integers(1, 40), st.data())
def test_a_cut_document_is_an_error_and_never_another_document(
    document: dict[str, list[object]], chunk: int, data: st.DataObject
) -> None:
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        with pytest.raises(ImportFailed, match="character"):
            _read(text[:cut])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": [1 2]}', r"character 10: expected , or \], found '2'"),
        ('{"a" [1]}', "expected :"),
        ("{1: []}", "expected a key, found 1"),
        ('{"a": [tru]}', "character 8: Expecting value"),
        ('{"a": ["\\u12"]}', "escape"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(ImportFailed, match=reason):
        _read(text)


def test_what_is_no_number_is_null() -> None:
    assert _read('{"a": [NaN, Infinity, -Infinity, 1]}') == {"a": [None, None, None, 1]}


def test_a_fault_far_from_the_end_is_told_without_reading_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 64)
    source = io.BytesIO(b'{"a": [' + b"?" + b" " * 100_000 + b"]}")
    stream = JsonStream(source)
    next(stream.members())
    with pytest.raises(ImportFailed):
        next(stream.elements())
    assert source.tell() < 1_000


@pytest.mark.usefixtures("no_collection")
def test_deep_nesting_is_an_error() -> None:
    with pytest.raises(ImportFailed, match="nested too deep"):
        _read('{"a": [' + "[" * 200_000)
