"""The page's own files: read once, kept by browsers for as long as they like."""

from functools import cache
from typing import Final

from starlette.responses import Response

from runledger.server.refusal import Refusal
from runledger.web.environment import STATIC, static

_KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def static_file(digest: str, name: str) -> Response:
    """Return a file of the folder `static`; Refusal with status 404 for anything else."""
    found = _files().get(name)
    if found is None or static(name) != f"/static/{digest}/{name}":
        raise Refusal(404, "no such file")
    data, kind = found
    return Response(
        data, headers={"Cache-Control": "public, max-age=31536000, immutable"}, media_type=kind
    )


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    return {
        file.name: (file.read_bytes(), _KINDS[file.suffix])
        for file in STATIC.iterdir()
        if file.suffix in _KINDS
    }
