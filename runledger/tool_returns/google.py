"""Tool returns for Google: a functionResponse per return, its images as sibling parts."""

import mimetypes
from collections.abc import Mapping
from urllib.parse import urlsplit

from runledger.messages import ImageSource, Message, ReturnPart, TextContent, UrlImage
from runledger.tool_returns.envelope import read_json
from runledger.tool_returns.image_bytes import DEFAULT_MEDIA_TYPE, Blobs, inline_image
from runledger.tool_returns.returns import IMAGE_OMITTED, Payload, answered_calls, truncate


def to_google(
    message: Message,
    blobs: Blobs,
    *,
    limit: int | None = None,
    names: Mapping[str, str] | None = None,
) -> Payload:
    """Return one function message: a functionResponse per return, each followed by its images.

    `names` gives the called function of each call id; without it, the message's name or the call id
    is used for all.
    """
    parts: list[Payload] = []
    for call_id, item in answered_calls(message):
        name = (names or {}).get(call_id) or message.name or call_id
        if isinstance(item.func_response, list):
            text, images = _text_and_images(item.func_response, blobs, limit)
        else:
            text, images = truncate(item.func_response or "", limit), []
        value = read_json(text)
        content = {"function_response": text} if value is ... else value
        response = {"name": name, "response": {"name": name, "content": content}}
        parts += [{"functionResponse": response}, *images]
    return {"role": "function", "parts": parts}


def _text_and_images(
    response: list[ReturnPart], blobs: Blobs, limit: int | None
) -> tuple[str, list[Payload]]:
    texts, images, omitted = [], [], 0
    for part in response:
        if isinstance(part, TextContent):
            texts.append(part.text)
        elif (image := _image(part.source, blobs)) is not None:
            images.append(image)
        else:
            omitted += 1
    lines = [truncate("\n".join(texts), limit)] if texts else []
    lines += [f"[{len(images)} image(s) attached]"] if images else []
    return "\n".join(lines + [IMAGE_OMITTED] * omitted), images


def _image(source: ImageSource, blobs: Blobs) -> Payload | None:
    found = inline_image(source, blobs)
    if found is not None:
        media_type, data = found
        return {"inlineData": {"data": data, "mimeType": media_type}}
    if isinstance(source, UrlImage):
        media_type = mimetypes.guess_type(urlsplit(source.url).path)[0] or DEFAULT_MEDIA_TYPE
        return {"fileData": {"fileUri": source.url, "mimeType": media_type}}
    return None
