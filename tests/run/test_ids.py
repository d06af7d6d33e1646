"""Ids: what is one, what is none, and that the docs and the errors say so."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.errors import InvalidId
from runledger.ids import (
    DEFAULT_ORGANIZATION,
    FORMS,
    LONGEST_NAME,
    NAMES,
    check_id,
    foreign_id,
    is_id,
    new_id,
)

DOCS = Path(__file__).parents[2] / "docs"
UUID4 = "0f1e2d3c-4b5a-4678-9abc-def012345678"
PREFIXES = {"agent": ("agent-",), "conversation": ("conversation-", "conv-"), "organization": ("",)}
NAMED = [(kind, prefix) for kind, prefixes in PREFIXES.items() for prefix in prefixes]


def test_the_docs_have_every_form_and_what_a_name_may_be() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    for kind, form in FORMS.items():
        assert f"\n| {kind} | `{form}` |" in text, kind
    assert NAMES.removeprefix("a <name> ") in " ".join(text.replace("`", "").split())
    assert DEFAULT_ORGANIZATION in text


def test_a_form_is_an_id() -> None:
    for kind, form in FORMS.items():
        for one in form.split(" or "):
            assert is_id(kind, one.replace("<uuid4>", UUID4).replace("<name>", "a")), one
        assert is_id(kind, new_id(kind))


@pytest.mark.parametrize(("kind", "prefix"), NAMED)
def test_a_name_is_what_it_is_said_to_be(kind: str, prefix: str) -> None:
    assert f"1 to {LONGEST_NAME} characters" in NAMES
    for name in ("a", "Z", "7", "a._:@-", "a" * LONGEST_NAME):
        assert is_id(kind, prefix + name), name
    for name in ("", "a" * (LONGEST_NAME + 1), "a b", "a/b", "a\n", "ä", "٣", "a+b"):
        assert not is_id(kind, prefix + name), name
    for sign in "._:@-":
        assert not is_id(kind, prefix + sign), sign


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("value", ["x" * 100_000, "a\udc80", "a\x1b[31m", None, 5, ["a"] * 1000])
def test_an_error_says_what_is_expected_and_shows_a_little(kind: str, value: object) -> None:
    with pytest.raises(InvalidId) as refused:
        check_id(kind, value)
    said = str(refused.value)
    assert said.encode().isascii()
    assert said.isprintable()
    assert len(said) < 300
    assert f"ID format: {value!r:.80}. Expected format: '{FORMS[kind]}'" in said
    assert (NAMES in said) == ("<name>" in FORMS[kind])


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("agent", "planner", "agent-planner"),
        ("agent", "a" * LONGEST_NAME, f"agent-{'a' * LONGEST_NAME}"),
        ("conversation", "thread_7", "conv-thread_7"),
        ("conversation", UUID4, f"conversation-{UUID4}"),
        ("conversation", "ctx/7", "conv-ctx-7-"),
        ("agent", "Find the flight", "agent-Find-the-flight-"),
        ("agent", "/", "agent-"),
        ("agent", "", "agent-"),
        ("agent", "half \ud83d", "agent-half-"),
    ],
)
def test_a_foreign_id_stays_readable(kind: str, text: str, expected: str) -> None:
    found = foreign_id(kind, text)  # type: ignore[arg-type]
    assert is_id(kind, found)
    if expected.endswith("-"):
        assert len(found) == len(expected) + 16
        assert found.startswith(expected)
    else:
        assert found == expected


@given(st.sets(st.text(max_size=200) | st.text("/ a", max_size=5), min_size=2, max_size=6))
def test_foreign_ids_are_valid_and_do_not_meet(texts: set[str]) -> None:
    for kind in ("agent", "conversation"):
        found = {foreign_id(kind, text) for text in texts}  # type: ignore[arg-type]
        assert len(found) == len(texts)
        assert all(is_id(kind, one) for one in found)
