"""The templates: everything that they write is escaped, and shows its control characters."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runledger.web import shown
from runledger.web.json_tree import tree

STATIC: Final = Path(__file__).with_name("static")
_TEMPLATES: Final = Path(__file__).with_name("templates")


@cache
def environment() -> Environment:
    """Return the environment of all templates."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in (
        "duration",
        "count",
        "compact",
        "usd",
        "short",
        "agent",
        "moment",
        "whole_moment",
        "machine_moment",
        "pretty",
        "span",
    ):
        made.filters[name] = getattr(shown, name)
    made.filters["tree"] = tree
    made.globals["static"] = static
    return made


@cache
def static(name: str) -> str:
    """Return the address of a static file; it names the file's digest, so it can be kept."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{digest}/{name}"
