"""Text that UTF-8 cannot hold is stored escaped; all other text as it is."""

import json
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from runledger.messages import Message
from runledger.storable import storable, storable_text

texts = st.text(st.characters(codec=None, exclude_categories=()))
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner) | st.tuples(inner),
)


@given(texts)
def test_any_text_becomes_one_that_can_be_stored(text: str) -> None:
    stored = storable_text(text).encode().decode()
    assert storable_text(stored) == stored
    assert stored == text or any("\ud800" <= sign <= "\udfff" for sign in text)


@given(st.text())
def test_text_that_can_be_stored_is_left_alone(text: str) -> None:
    assert storable_text(text) is text


def test_halves_are_escaped_and_pairs_become_their_character() -> None:
    assert storable_text("a\ud83d b") == "a\\ud83d b"
    assert storable_text("\ud83d\ude00") == "😀"
    assert storable_text("\ude00\ud83d") == "\\ude00\\ud83d"
    assert storable_text(b"caf\xe9".decode(errors="surrogateescape")) == "caf\\udce9"


@given(values)
def test_whatever_holds_the_text_is_looked_into(value: object) -> None:
    made = storable(value)
    json.dumps(made, ensure_ascii=False).encode()
    assert storable(made) is made


def test_models_and_records_are_looked_into_and_left_alone_if_nothing_is_to_be_done() -> None:
    @dataclass(frozen=True)
    class Record:
        message: Message

    plain = Record(Message(id="m", role="user", content="whole"))
    assert storable(plain) is plain
    half = Record(Message(id="m", role="user", content="half \ud83d", extra={"a": ["\ud83d"]}))
    made = storable(half).message
    assert (made.text(), made.extra) == ("half \\ud83d", {"a": ["\\ud83d"]})
