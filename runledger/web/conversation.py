"""The conversation of a run: who said it, what was called, what came back; long texts folded."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from runledger import messages as stored
from runledger.events import MessagesRecorded
from runledger.store.protocol import StoredEvent
from runledger.web.json_tree import Node, tree_of_text

SHOWN: Final = 1_200
FOLDED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Text:
    """A text: its beginning, what is folded behind it, and how long all of it is."""

    head: str
    rest: str
    size: int
    cut: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is folded."""
        return not self.rest


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message: `kind` is said, thought, call, return, answer, image or other.

    `tree` is the text as a tree, if it is an object or a list of JSON.
    """

    kind: str
    text: Text
    title: str = ""
    failed: bool = False
    image: str | None = None
    tree: Node | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A message, with its pieces in order."""

    id: str
    role: str
    at: datetime
    step_id: str | None
    name: str | None = None
    failed: bool = False
    pieces: list[Piece] = field(default_factory=list)


def folded(text: str) -> Text:
    """Return a text of which the page shows the beginning; a very long one is cut, and says so."""
    size = len(text)
    if size <= SHOWN:
        return Text(text, "", size, False)
    return Text(text[:SHOWN], text[SHOWN:FOLDED], size, size > FOLDED)


def conversation(events: Sequence[StoredEvent]) -> list[Said]:
    """Return the messages of events that were read with their contents."""
    names: dict[str, str] = {}
    return [
        _said(message, row.event, names)
        for row in events
        if isinstance(row.event, MessagesRecorded)
        for message in row.event.bodies
    ]


def _said(message: stored.Message, event: MessagesRecorded, names: dict[str, str]) -> Said:
    made = Said(
        message.id,
        message.role,
        message.created_at or event.occurred_at,
        message.step_id,
        message.name,
        bool(message.is_err),
    )
    for part in message.content or ():
        made.pieces.append(_part(part, names))
    for call in message.tool_calls or ():
        names[call.id] = call.function.name
        made.pieces.append(_call(call.function.name, _pretty(call.function.arguments)))
    for back in message.tool_returns or ():
        made.pieces.extend(_return(back, names))
    for answer in message.approvals or ():
        if isinstance(answer, stored.ToolReturn):
            made.pieces.extend(_return(answer, names))
        else:
            words = "approved" if answer.approve else "denied"
            name = names.get(answer.tool_call_id, answer.tool_call_id)
            made.pieces.append(
                Piece("answer", folded(answer.reason or ""), f"{words}: {name}", not answer.approve)
            )
    if message.approve is not None and not message.approvals:
        words = "approved" if message.approve else "denied"
        made.pieces.append(Piece("answer", folded(message.denial_reason or ""), words))
    return made


def _part(part: stored.ContentPart, names: dict[str, str]) -> Piece:
    if isinstance(part, stored.TextContent):
        return Piece("said", folded(part.text))
    if isinstance(part, stored.ReasoningContent):
        return Piece("thought", folded(part.reasoning), "thought")
    if isinstance(part, stored.SummarizedReasoningContent):
        words = "\n".join(piece.text for piece in part.summary)
        return Piece("thought", folded(words), "thought, summarized")
    if isinstance(part, stored.ToolCallContent):
        names[part.id] = part.name
        return _call(part.name, json.dumps(part.input, indent=1, ensure_ascii=False))
    if isinstance(part, stored.ToolReturnContent):
        title = names.get(part.tool_call_id, "a tool")
        return _returned(title, part.content, part.is_error)
    if isinstance(part, stored.ImageContent):
        return _image(part)
    return Piece("other", folded(""), f"{part.type.replace('_', ' ')}: the provider kept it")


def _call(name: str, arguments: str) -> Piece:
    return Piece("call", folded(arguments), name, tree=tree_of_text(arguments, FOLDED))


def _returned(title: str, text: str, failed: bool) -> Piece:
    tree = tree_of_text(text, FOLDED)
    return Piece("return", folded(_pretty(text)), title, failed, tree=tree)


def _return(back: stored.ToolReturn, names: dict[str, str]) -> list[Piece]:
    title = names.get(back.tool_call_id or "", "a tool")
    failed = back.status == "error"
    given = back.func_response
    if isinstance(given, list):
        pieces = []
        for part in given:
            if isinstance(part, stored.ImageContent):
                pieces.append(_image(part))
            else:
                pieces.append(_returned(title, part.text, failed))
    else:
        pieces = [_returned(title, given or "", failed)]
    for stream, lines in (("stdout", back.stdout), ("stderr", back.stderr)):
        if lines:
            pieces.append(Piece("return", folded("\n".join(lines)), f"{title}, {stream}"))
    return pieces


def _image(part: stored.ImageContent) -> Piece:
    source = part.source
    if isinstance(source, stored.BlobImage):
        return Piece("image", folded(""), source.media_type, image=source.sha256)
    where = getattr(source, "url", None) or getattr(source, "file_id", "")
    return Piece("other", folded(where or ""), "an image that lies elsewhere")


def _pretty(text: str) -> str:
    """Return JSON with a line for each value; any other text as it is."""
    if text[:1] not in ("{", "[") or len(text) > 200_000:
        return text
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
