"""The bytes of an image in the form for a provider: base64 with a media type, or a url."""

from base64 import b64encode
from collections.abc import Callable
from typing import Final

from runledger.messages import Base64Image, BlobImage, ImageSource, LettaImage, UrlImage

Blobs = Callable[[str], bytes]
"""Returns the bytes of an image by their SHA-256."""

DEFAULT_MEDIA_TYPE: Final = "image/png"


def inline_image(source: ImageSource, blobs: Blobs) -> tuple[str, str] | None:
    """Return the media type and base64 text of an image whose bytes are available."""
    if isinstance(source, BlobImage):
        return source.media_type, b64encode(blobs(source.sha256)).decode("ascii")
    if isinstance(source, UrlImage):
        head, _, data = source.url.partition(";base64,")
        is_data = head[:5].lower() == "data:" and data
        return (head[5:].partition(";")[0] or DEFAULT_MEDIA_TYPE, data) if is_data else None
    if isinstance(source, Base64Image | LettaImage) and source.data:
        return source.media_type or DEFAULT_MEDIA_TYPE, source.data
    return None


def image_url(source: ImageSource, blobs: Blobs) -> str | None:
    """Return a url under which a provider can read the image: a data url, or its own."""
    found = inline_image(source, blobs)
    if found is not None:
        media_type, data = found
        return f"data:{media_type};base64,{data}"
    return source.url if isinstance(source, UrlImage) else None
