"""The request that each provider gets for a tool return, the text rule, the truncation, the envelope."""

import base64
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.errors import InvalidArgument
from runledger.messages import (
    Base64Image,
    BlobImage,
    ImageContent,
    LettaImage,
    Message,
    TextContent,
    ToolReturn,
    ToolReturnContent,
    UrlImage,
)
from runledger.tool_returns import (
    openai_call_id,
    returns_of,
    to_anthropic,
    to_google,
    to_openai_chat,
    to_openai_responses,
    tool_return_to_text,
    truncate,
)

ID = "message-00000000-0000-4000-8000-000000000001"
PIXELS = b"\x89PNG pixels"
DIGEST = sha256(PIXELS).hexdigest()

CAPTION = TextContent(text="caption")
INLINE = ImageContent(source=Base64Image(media_type="image/png", data="AAAA", detail="high"))
REMOTE = ImageContent(source=UrlImage(url="https://x/y.png"))
FILED = ImageContent(source=LettaImage(file_id="file-1"))
STORED = ImageContent(
    source=BlobImage(sha256=DIGEST, media_type="image/jpeg", size=len(PIXELS), detail="low")
)
PARTS = [CAPTION, INLINE, REMOTE, FILED]


def blobs(digest):
    return {DIGEST: PIXELS}[digest]


def message(*responses, status="error", **fields):
    returns = [
        ToolReturn(tool_call_id=f"call_{n}", status=status, func_response=response)
        for n, response in enumerate(responses, 1)
    ]
    return Message(id=ID, role="tool", tool_returns=returns, **fields)


def anthropic(*blocks):
    return {"role": "user", "content": list(blocks)}


def google(*parts):
    return {"role": "function", "parts": list(parts)}


def function_response(content, name="call_1"):
    return {"functionResponse": {"name": name, "response": {"name": name, "content": content}}}


TEXT_RULE = [
    (None, None),
    ("", None),
    ("text", "text"),
    ([], None),
    ([CAPTION], "caption"),
    ([CAPTION, TextContent(text="more")], "caption\nmore"),
    ([INLINE], "[Image omitted]"),
    ([INLINE, CAPTION], "caption [Image omitted]"),
    ([INLINE, REMOTE], "[2 images omitted]"),
    (PARTS, "caption [3 images omitted]"),
    ([TextContent(text=""), STORED], "[Image omitted]"),
]


@pytest.mark.parametrize(("response", "text"), TEXT_RULE)
def test_the_text_rule_joins_texts_and_counts_what_is_left_out(response, text):
    assert tool_return_to_text(response) == text


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcdef", None, "abcdef"),
        ("abcdef", 6, "abcdef"),
        ("abcdef", 4, "abcd... [truncated 2 chars]"),
        ("abcdef", 0, "... [truncated 6 chars]"),
    ],
)
def test_truncation_says_how_much_is_gone(text, limit, cut):
    assert truncate(text, limit) == cut


CHAT = [
    (PARTS, "caption [3 images omitted]"),
    ([INLINE], "[Image omitted]"),
    ("plain", "plain"),
    (None, ""),
    ([], ""),
]


@pytest.mark.parametrize(("response", "content"), CHAT)
def test_openai_chat_gets_text_and_a_placeholder(response, content):
    assert to_openai_chat(message(response)) == [
        {"role": "tool", "tool_call_id": "call_1", "content": content}
    ]


RESPONSES = [
    (
        PARTS,
        [
            {"type": "input_text", "text": "caption"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"},
            {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"},
            {"type": "input_text", "text": "[Image omitted]"},
        ],
    ),
    (
        [STORED],
        [
            {
                "type": "input_image",
                "image_url": "data:image/jpeg;base64," + base64.b64encode(PIXELS).decode(),
                "detail": "low",
            }
        ],
    ),
    ("plain", "plain"),
    (None, ""),
    ([], ""),
]


@pytest.mark.parametrize(("response", "output"), RESPONSES)
def test_openai_responses_gets_parts_with_images_as_urls(response, output):
    assert to_openai_responses(message(response), blobs) == [
        {"type": "function_call_output", "call_id": "call_1", "output": output}
    ]


ANTHROPIC = [
    (
        PARTS,
        [
            {"type": "text", "text": "caption"},
            {
                "type": "image",
                "source": {"type": "base64", "data": "AAAA", "media_type": "image/png"},
            },
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "text", "text": "[Image omitted]"},
        ],
    ),
    (
        [STORED],
        [
            {
                "type": "image",
                "source": {
                    "type": "base64",
                    "data": base64.b64encode(PIXELS).decode(),
                    "media_type": "image/jpeg",
                },
            }
        ],
    ),
    ("plain", "plain"),
    (None, ""),
    ([], ""),
]


@pytest.mark.parametrize(("response", "content"), ANTHROPIC)
def test_anthropic_gets_a_result_block_that_says_when_it_is_an_error(response, content):
    block = {"type": "tool_result", "tool_use_id": "call_1", "content": content}
    assert to_anthropic(message(response, status="success"), blobs) == anthropic(block)
    assert to_anthropic(message(response), blobs) == anthropic({**block, "is_error": True})


GOOGLE = [
    (
        [CAPTION, INLINE],
        [
            function_response({"function_response": "caption\n[1 image(s) attached]"}),
            {"inlineData": {"data": "AAAA", "mimeType": "image/png"}},
        ],
    ),
    (
        [INLINE],
        [
            function_response({"function_response": "[1 image(s) attached]"}),
            {"inlineData": {"data": "AAAA", "mimeType": "image/png"}},
        ],
    ),
    (
        PARTS,
        [
            function_response(
                {"function_response": "caption\n[2 image(s) attached]\n[Image omitted]"}
            ),
            {"inlineData": {"data": "AAAA", "mimeType": "image/png"}},
            {"fileData": {"fileUri": "https://x/y.png", "mimeType": "image/png"}},
        ],
    ),
    (
        [STORED],
        [
            function_response({"function_response": "[1 image(s) attached]"}),
            {
                "inlineData": {
                    "data": base64.b64encode(PIXELS).decode(),
                    "mimeType": "image/jpeg",
                }
            },
        ],
    ),
    ("plain", [function_response({"function_response": "plain"})]),
    ('{"a": [1]}', [function_response({"a": [1]})]),
    ("42", [function_response(42)]),
    ("NaN", [function_response({"function_response": "NaN"})]),
    ("[" * 100_000, [function_response({"function_response": "[" * 100_000})]),
    (None, [function_response({"function_response": ""})]),
    ([], [function_response({"function_response": ""})]),
]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(("response", "parts"), GOOGLE)
def test_google_gets_images_as_sibling_parts(response, parts):
    assert to_google(message(response), blobs) == google(*parts)


def test_every_provider_gets_one_answer_per_call():
    two = message("one", [CAPTION, INLINE], status="success")
    assert [item["tool_call_id"] for item in to_openai_chat(two)] == ["call_1", "call_2"]
    assert [item["call_id"] for item in to_openai_responses(two, blobs)] == ["call_1", "call_2"]
    assert [block["tool_use_id"] for block in to_anthropic(two, blobs)["content"]] == [
        "call_1",
        "call_2",
    ]
    parts = to_google(two, blobs)["parts"]
    assert [next(iter(part)) for part in parts] == [
        "functionResponse",
        "functionResponse",
        "inlineData",
    ]


def test_google_names_each_response_after_its_own_function():
    two = message("one", "two", name="shared")
    named = to_google(two, blobs, names={"call_2": "search"})["parts"]
    assert [part["functionResponse"]["name"] for part in named] == ["shared", "search"]


def test_limits_cut_whole_texts_parts_or_the_joined_text_as_the_provider_wants():
    long = [TextContent(text="abcdef"), TextContent(text="ghijkl"), INLINE]
    assert to_openai_chat(message(long), limit=8)[0]["content"] == (
        "abcdef\ng... [truncated 21 chars]"
    )
    texts = [p.get("text") for p in to_openai_responses(message(long), blobs, limit=4)[0]["output"]]
    assert texts == ["abcd... [truncated 2 chars]", "ghij... [truncated 2 chars]", None]
    [block] = to_anthropic(message(long), blobs, limit=4)["content"]
    assert [part.get("text") for part in block["content"]] == texts
    [answer, _] = to_google(message(long), blobs, limit=8)["parts"]
    assert answer["functionResponse"]["response"]["content"] == {
        "function_response": "abcdef\ng... [truncated 5 chars]\n[1 image(s) attached]"
    }
    assert to_google(message("abcdef"), blobs, limit=2)["parts"] == [
        function_response({"function_response": "ab... [truncated 4 chars]"})
    ]


def test_call_ids_are_cut_for_openai_alone():
    long = "call_" + "x" * 40
    one = Message(
        id=ID, role="tool", tool_returns=[ToolReturn(tool_call_id=long, func_response="t")]
    )
    assert to_openai_chat(one)[0]["tool_call_id"] == long[:29] == openai_call_id(long)
    assert to_openai_responses(one, blobs)[0]["call_id"] == long[:29]
    assert to_anthropic(one, blobs)["content"][0]["tool_use_id"] == long


def test_a_single_return_takes_the_messages_call_id_and_several_must_have_their_own():
    bare = ToolReturn(func_response="t")
    one = Message(id=ID, role="tool", tool_call_id="call_m", tool_returns=[bare])
    assert to_anthropic(one, blobs)["content"][0]["tool_use_id"] == "call_m"
    for returns, call_id in (([bare, bare], "call_m"), ([bare], None)):
        bad = Message(id=ID, role="tool", tool_call_id=call_id, tool_returns=returns)
        for make in (to_openai_chat, to_openai_responses, to_anthropic, to_google):
            with pytest.raises(InvalidArgument, match="expected a tool_call_id on every return"):
                make(bad) if make is to_openai_chat else make(bad, blobs)


def test_a_data_url_is_sent_as_bytes_where_a_provider_takes_no_data_urls():
    part = ImageContent(source=UrlImage(url="data:image/gif;base64,R0lG"))
    [block] = to_anthropic(message([part]), blobs)["content"]
    assert block["content"][0]["source"] == {
        "type": "base64",
        "data": "R0lG",
        "media_type": "image/gif",
    }
    assert to_google(message([part]), blobs)["parts"][1] == {
        "inlineData": {"data": "R0lG", "mimeType": "image/gif"}
    }


def test_a_file_with_its_bytes_is_sent_and_its_type_defaults_to_png():
    part = ImageContent(source=LettaImage(file_id="f", data="AAAA"))
    [item] = to_openai_responses(message([part]), blobs)
    assert item["output"][0]["image_url"] == "data:image/png;base64,AAAA"


def test_bytes_that_are_gone_are_an_error_not_a_hole():
    part = ImageContent(source=BlobImage(sha256="0" * 64, media_type="image/png", size=1))
    with pytest.raises(KeyError):
        to_anthropic(message([part]), blobs)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content": "text"}, ("success", "text")),
        ({"content": "text", "is_err": True}, ("error", "text")),
        ({"content": '{"status":"Failed","message":"m"}'}, ("error", None)),
        ({"content": '{"status":"OK","message":"m"}'}, ("success", None)),
        ({"content": [CAPTION, INLINE]}, ("success", [CAPTION, INLINE])),
        ({}, ("success", "")),
        (
            {"content": [ToolReturnContent(tool_call_id="c", content="x", is_error=True)]},
            ("error", "x"),
        ),
    ],
)
def test_a_tool_message_without_returns_is_itself_the_return(fields, expected):
    [item] = returns_of(Message(id=ID, role="tool", tool_call_id="c", **fields))
    status, response = expected
    assert (item.tool_call_id, item.status) == ("c", status)
    assert item.func_response == (fields["content"] if response is None else response)


def test_a_message_of_another_role_has_no_returns():
    assert returns_of(Message(id=ID, role="user", content="x")) == []
    assert to_openai_chat(Message(id=ID, role="user", content="x")) == []


@given(
    st.lists(st.sampled_from([CAPTION, INLINE, REMOTE, FILED, STORED]), max_size=8),
    st.sampled_from(["success", "error"]),
)
def test_no_part_is_ever_dropped_silently(parts, status):
    one = message(parts, status=status)
    if parts:
        assert len(to_openai_responses(one, blobs)[0]["output"]) == len(parts)
        assert len(to_anthropic(one, blobs)["content"][0]["content"]) == len(parts)
    sent = json.dumps(to_google(one, blobs))
    images = [part for part in parts if part is not CAPTION]
    assert sent.count("inlineData") + sent.count("fileData") + sent.count("omitted") == len(images)
    assert to_anthropic(one, blobs)["content"][0].get("is_error", False) is (status == "error")
