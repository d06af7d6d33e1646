"""The JSON envelope of a tool's text: written, read back, and told from other text."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.tool_returns import unwrap_return, without_halves, wrap_return

AT = datetime(2026, 11, 23, 9, 3, 52, tzinfo=UTC)


def test_the_envelope_is_the_documented_text():
    assert wrap_return("dö\n", "success", AT) == (
        '{\n  "status": "OK",\n  "message": "dö\\n",\n'
        '  "time": "2026-11-23 09:03:52 AM UTC+0000"\n}'
    )
    later = AT.astimezone(timezone(timedelta(hours=5)))
    assert '"time": "2026-11-23 09:03:52 AM UTC+0000"' in wrap_return("x", "error", later)


_pieces = st.sampled_from(
    ["\\", "\\\\", "u", r"\ud83d", r"\uDE00", r"\u00e9", r"\uD", "8", "3d", "zz", "\n", '"', "é"]
)


@given(st.lists(_pieces, max_size=12).map("".join))
def test_half_a_surrogate_pair_is_replaced_and_nothing_else(text):
    """Against the value: a parser joins halves that belong together, those that are left are alone."""
    try:
        value = json.loads(f'"{text}"', strict=False)
    except ValueError:
        with pytest.raises(json.JSONDecodeError):
            json.loads(without_halves(f'"{text}"'), strict=False)
        return
    expected = re.sub("[\ud800-\udfff]", "\ufffd", value)
    assert json.loads(without_halves(f'"{text}"'), strict=False) == expected


def test_half_a_surrogate_pair_in_an_envelope_is_replaced():
    text = r'{"status": "OK", "message": {"cut \ud83d": "\ude00"}, "time": "…"}'
    assert unwrap_return(text) == ('{"cut \ufffd": "\ufffd"}', "success")


@given(st.text(), st.sampled_from(["success", "error"]))
def test_what_goes_into_an_envelope_comes_out(text, status):
    assert unwrap_return(wrap_return(text, status, AT)) == (text, status)


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(json.dumps)
)
def test_text_that_is_no_envelope_is_itself(text):
    assert unwrap_return(text) == (text, None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"status":"OK","message":{"a":"ö"}}', ('{"a": "ö"}', "success")),
        ('{"status":"Maybe","message":"m"}', ('{"status":"Maybe","message":"m"}', None)),
        ('{"status":["OK"],"message":"m"}', ('{"status":["OK"],"message":"m"}', None)),
        ('{"status":"OK"}', ('{"status":"OK"}', None)),
    ],
)
def test_an_envelope_needs_a_known_status_and_a_message(text, found):
    assert unwrap_return(text) == found
