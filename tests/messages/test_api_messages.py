"""The API's form of one stored message, by role and agent type."""

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from runledger.api_messages import RequestConfig, otid_of, spoken_calls, to_api_messages
from runledger.errors import InvalidArgument, NotFound
from runledger.messages import (
    Approval,
    Base64Image,
    BlobImage,
    Function,
    ImageContent,
    Message,
    OmittedReasoningContent,
    ReasoningContent,
    RedactedReasoningContent,
    SummarizedReasoningContent,
    SummaryPart,
    TextContent,
    ToolCall,
    ToolCallContent,
    ToolReturn,
    UrlImage,
)

ID = "message-00000000-0000-4000-8000-0000000000ff"
AT = datetime(2026, 11, 23, 9, 3, 52, 123456, tzinfo=UTC)
RUN = "run-00000000-0000-4000-8000-000000000001"
PIXELS = b"pixels"
DIGEST = sha256(PIXELS).hexdigest()
STORED = ImageContent(source=BlobImage(sha256=DIGEST, media_type="image/png", size=6, detail="low"))
CAPTION = TextContent(text="caption")


def message(role, **fields):
    return Message(id=ID, role=role, created_at=AT, **fields)


def call(id, name="search", arguments='{"q": 1}'):
    return ToolCall(id=id, function=Function(name=name, arguments=arguments))


def say(id, text="hi"):
    return call(id, "send_message", json.dumps({"message": text, "thinking": "hm"}))


def shown(stored, **options):
    return [m.model_dump(mode="json") for m in to_api_messages(stored, run_id=RUN, **options)]


def kinds(stored, **options):
    return [m.message_type for m in to_api_messages(stored, **options)]


COMMON = {
    "id": ID,
    "date": "2026-11-23T09:03:52+00:00",
    "name": None,
    "sender_id": None,
    "step_id": None,
    "is_err": None,
    "seq_id": None,
    "run_id": RUN,
}


def otid(index):
    return f"00000000-0000-4000-8000-0000000000{0x80 + index:x}"


def test_a_system_message_is_text():
    assert shown(message("system", content="be kind")) == [
        {**COMMON, "message_type": "system_message", "otid": otid(0), "content": "be kind"}
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("hello", "hello"),
        (None, ""),
        ([TextContent(text="a"), TextContent(text="b")], ["a", "b"]),
    ],
)
def test_a_user_message_is_text_or_parts(content, expected):
    [found] = shown(message("user", content=content, otid="o-1", sender_id="s", step_id="step"))
    assert (found["otid"], found["sender_id"], found["step_id"]) == ("o-1", "s", "step")
    if isinstance(expected, list):
        assert [part["text"] for part in found["content"]] == expected
    else:
        assert found["content"] == expected


def test_an_image_is_shown_by_reference_or_with_its_bytes():
    stored = message("user", content=[CAPTION, STORED])
    [found] = shown(stored)
    assert found["content"][1]["source"] == {
        "type": "blob",
        "sha256": DIGEST,
        "media_type": "image/png",
        "size": 6,
        "detail": "low",
        "source_url": None,
    }
    [found] = shown(stored, blobs={DIGEST: PIXELS}.__getitem__)
    assert found["content"][1]["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "cGl4ZWxz",
        "detail": "low",
    }


def test_bytes_that_were_erased_leave_the_reference():
    def gone(digest):
        raise NotFound("blob", digest)

    [found] = shown(message("user", content=[STORED]), blobs=gone)
    assert found["content"][0]["source"]["type"] == "blob"


THOUGHTS = [
    ReasoningContent(is_native=True, reasoning="deep", signature="sig"),
    TextContent(text="one "),
    TextContent(text="two"),
    RedactedReasoningContent(data="xxx"),
    OmittedReasoningContent(),
    SummarizedReasoningContent(
        id="rs",
        summary=[SummaryPart(index=1, text="b"), SummaryPart(index=0, text="a")],
        encrypted_content="enc",
    ),
    TextContent(text=""),
    TextContent(text="three"),
]


@pytest.mark.parametrize("agent_type", [None, "letta_v1_agent"])
def test_an_agent_that_speaks_in_text_says_it_and_neighbours_are_one_message(agent_type):
    found = shown(message("assistant", content=THOUGHTS), agent_type=agent_type)
    assert [
        (m["message_type"], m.get("content") or m.get("reasoning") or m.get("state")) for m in found
    ] == [
        ("reasoning_message", "deep"),
        ("assistant_message", "one two"),
        ("hidden_reasoning_message", "redacted"),
        ("hidden_reasoning_message", "omitted"),
        ("reasoning_message", "a\n\nb"),
        ("assistant_message", "three"),
    ]
    assert [m["otid"] for m in found] == [otid(i) for i in range(6)]
    assert {m["id"] for m in found} == {ID}
    assert (found[0]["source"], found[0]["signature"]) == ("reasoner_model", "sig")
    assert found[2]["hidden_reasoning"] == "xxx"
    assert (found[4]["source"], found[4]["signature"]) == ("reasoner_model", "enc")


@pytest.mark.parametrize("agent_type", ["memgpt_agent", "memgpt_v2_agent", "sleeptime_agent"])
def test_an_agent_that_thinks_in_text_reasons_and_speaks_through_its_tool(agent_type):
    stored = message("assistant", content="I should greet", tool_calls=[call("c1"), say("c2")])
    found = shown(stored, agent_type=agent_type)
    assert [m["message_type"] for m in found] == [
        "reasoning_message",
        "assistant_message",
        "tool_call_message",
    ]
    assert (found[0]["reasoning"], found[0]["source"]) == ("I should greet", "non_reasoner_model")
    assert found[1]["content"] == "hi"
    assert found[2]["tool_call"] == {
        "name": "search",
        "arguments": '{"q": 1}',
        "tool_call_id": "c1",
    }
    assert found[2]["tool_calls"] == [found[2]["tool_call"]]
    assert [m["otid"] for m in found] == [otid(0), otid(1), otid(2)]


def test_calls_of_one_message_are_one_api_message_without_nulls():
    [found] = shown(message("assistant", tool_calls=[call("a"), call("b")]))
    assert set(found) == {
        "id",
        "date",
        "message_type",
        "otid",
        "run_id",
        "tool_call",
        "tool_calls",
    }
    assert [c["tool_call_id"] for c in found["tool_calls"]] == ["a", "b"]
    assert found["tool_call"]["tool_call_id"] == "a"


def test_a_call_among_the_content_is_shown_once():
    part = ToolCallContent(id="a", name="search", input={"q": "ü"})
    [found] = shown(message("assistant", content=[part]))
    assert found["tool_call"] == {"name": "search", "arguments": '{"q": "ü"}', "tool_call_id": "a"}
    [found] = shown(message("assistant", content=[part], tool_calls=[call("a")]))
    assert len(found["tool_calls"]) == 1


@pytest.mark.parametrize(
    ("config", "calls", "expected"),
    [
        ({}, [say("c")], ["assistant_message"]),
        ({"use_assistant_message": False}, [say("c")], ["tool_call_message"]),
        ({"assistant_message_tool_name": "speak"}, [say("c")], ["tool_call_message"]),
        ({"assistant_message_tool_name": "search", "assistant_message_tool_kwarg": "q"},
         [call("c")], ["assistant_message"]),
        ({"assistant_message_tool_kwarg": "text"}, [say("c")], ["tool_call_message"]),
        ({}, [call("c", "send_message", "not json")], ["tool_call_message"]),
        ({}, [call("c", "send_message", "[1]")], ["tool_call_message"]),
        ({}, [say("c"), say("d")], ["assistant_message", "assistant_message"]),
    ],
)  # fmt: skip
def test_the_request_config_says_what_is_speech(config, calls, expected):
    stored = message("assistant", tool_calls=calls)
    found = to_api_messages(stored, request_config=RequestConfig.read(config))
    assert [m.message_type for m in found] == expected


def test_speech_that_is_no_text_is_shown_as_json():
    stored = message("assistant", tool_calls=[call("c", "send_message", '{"message": {"a": "ü"}}')])
    assert shown(stored)[0]["content"] == '{"a": "ü"}'


@pytest.mark.parametrize(
    ("said", "content"),
    [
        (r'{"message": "so \ud83d"}', "so \ufffd"),
        (r'{"message": "\udE00\uD83D\ud83d\ude00"}', "\ufffd\ufffd\U0001f600"),
        (r'{"message": "\\ud83d"}', r"\ud83d"),
        (r'{"message": {"\ud83d": ["\udc00"]}}', '{"\ufffd": ["\ufffd"]}'),
    ],
)
def test_half_an_emoji_is_shown_as_what_it_is(said, content):
    stored = message("assistant", tool_calls=[call("c", "send_message", said)])
    (found,) = to_api_messages(stored)
    assert found.content == content
    assert json.loads(found.model_dump_json())["content"] == content


def test_the_return_of_speech_is_left_out_and_the_others_stay():
    config = RequestConfig()
    spoken = spoken_calls(message("assistant", tool_calls=[say("c1"), call("c2")]), config)
    assert spoken == {"c1"}
    both = message(
        "tool",
        tool_returns=[
            ToolReturn(tool_call_id="c1", func_response="None"),
            ToolReturn(tool_call_id="c2", func_response="found"),
        ],
    )
    [found] = shown(both, spoken=spoken)
    assert [r["tool_call_id"] for r in found["tool_returns"]] == ["c2"]
    assert found["tool_return"] == "found"
    alone = message("tool", tool_call_id="c1", content="None")
    assert shown(alone, spoken=spoken) == []


def test_an_image_that_the_agent_gives_is_part_of_what_it_says():
    stored = message("assistant", content=[CAPTION, STORED])
    [found] = shown(stored)
    assert [part["type"] for part in found["content"]] == ["text", "image"]
    assert kinds(stored, agent_type="memgpt_agent") == ["reasoning_message", "assistant_message"]


@pytest.mark.parametrize("status", ["success", "error"])
def test_a_tool_return_keeps_its_status_and_all_its_parts(status):
    remote = ImageContent(source=UrlImage(url="https://x/y.png"))
    stored = message(
        "tool",
        name="search",
        is_err=status == "error",
        tool_returns=[
            ToolReturn(
                tool_call_id="c1",
                status=status,
                func_response=[CAPTION, STORED, remote],
                stdout=["out"],
                stderr=["err"],
            ),
            ToolReturn(tool_call_id="c2", func_response='{"status":"OK","message":"m"}'),
        ],
    )
    [found] = shown(stored)
    assert found["message_type"] == "tool_return_message"
    assert found["tool_return"] == "caption [2 images omitted]"
    assert (found["status"], found["tool_call_id"], found["name"]) == (status, "c1", "search")
    assert (found["stdout"], found["stderr"]) == (["out"], ["err"])
    assert found["is_err"] is (True if status == "error" else None)
    first, second = found["tool_returns"]
    assert first["status"] == status
    assert [part["type"] for part in first["tool_return"]] == ["text", "image", "image"]
    assert (first["type"], first["stdout"]) == ("tool", ["out"])
    assert (second["tool_return"], second["status"]) == ("m", "success")


@pytest.mark.parametrize("response", ["plain", '{"status":"Failed","message":"plain"}'])
def test_a_text_return_is_shown_without_its_envelope(response):
    [found] = shown(message("tool", tool_call_id="c", content=response))
    assert found["tool_return"] == found["tool_returns"][0]["tool_return"] == "plain"
    assert found["status"] == ("success" if response == "plain" else "error")


def test_a_request_for_approval_follows_what_the_agent_said():
    stored = message("approval", content="may I?", tool_calls=[call("a"), say("b")])
    found = shown(stored)
    assert [m["message_type"] for m in found] == ["assistant_message", "approval_request_message"]
    assert [c["tool_call_id"] for c in found[1]["tool_calls"]] == ["a", "b"]
    assert found[1]["tool_call"]["tool_call_id"] == "a"
    assert [m["otid"] for m in found] == [otid(0), otid(1)]


def test_an_answer_to_a_request_has_every_answer_and_names_the_first_call():
    stored = message(
        "approval",
        otid="o-1",
        approval_request_id="message-x",
        approvals=[
            Approval(tool_call_id="a", approve=False, reason="no"),
            ToolReturn(tool_call_id="b", status="error", func_response=[CAPTION, STORED]),
        ],
    )
    [found] = shown(stored)
    assert found["message_type"] == "approval_response_message"
    assert (found["approve"], found["reason"], found["otid"]) == (False, "no", "o-1")
    assert found["approval_request_id"] == "a"
    assert found["approvals"][0] == {
        "type": "approval",
        "tool_call_id": "a",
        "approve": False,
        "reason": "no",
    }
    assert found["approvals"][1]["status"] == "error"
    assert [part["type"] for part in found["approvals"][1]["tool_return"]] == ["text", "image"]


def test_an_answer_of_the_older_form_keeps_its_single_fields():
    stored = message("approval", approve=True, denial_reason="r", approval_request_id="message-x")
    [found] = shown(stored)
    assert found["approvals"] == []
    assert (found["approve"], found["reason"]) == (True, "r")
    assert found["approval_request_id"] == "message-x"


def test_a_message_of_nothing_shows_nothing():
    assert shown(message("assistant")) == []
    assert shown(message("assistant", content="")) == []


def test_dates_are_whole_seconds_in_utc():
    there = Message(
        id=ID, role="user", content="x", created_at=AT.astimezone(timezone(timedelta(hours=2)))
    )
    assert shown(there)[0]["date"] == "2026-11-23T09:03:52+00:00"


def test_sub_ids_replace_the_low_seven_bits_and_never_collide():
    otids = [otid_of(ID, index) for index in range(300)]
    assert len(set(otids)) == 300
    assert otids[0] == "00000000-0000-4000-8000-000000000080"
    assert otids[127] == "00000000-0000-4000-8000-0000000000ff"
    assert otid_of("odd-id", 3) == otid_of("odd-id", 3) != otid_of("odd-id", 4)


def test_a_message_of_many_parts_gives_each_its_own_sub_id():
    parts = [OmittedReasoningContent() for _ in range(200)]
    found = shown(message("assistant", content=parts))
    assert len({m["otid"] for m in found}) == 200


@pytest.mark.parametrize(
    "stored",
    [
        {"use_assistant_message": "maybe"},
        {"include_return_message_types": ["tool_message"]},
        {"assistant_message_tool_name": 3},
    ],
)
def test_a_request_config_that_cannot_be_honoured_is_refused(stored):
    with pytest.raises(InvalidArgument, match="request_config: "):
        RequestConfig.read(stored)


def test_a_request_config_may_hold_nulls_and_other_keys():
    read = RequestConfig.read({"use_assistant_message": None, "other": 1})
    assert read == RequestConfig() == RequestConfig.read(None)


def test_base64_images_are_shown_as_they_are():
    part = ImageContent(source=Base64Image(data="AAAA"))
    [found] = shown(message("user", content=[part]), blobs={}.__getitem__)
    assert found["content"][0]["source"]["data"] == "AAAA"
