"""Where a PostgreSQL store is: libpq's keywords and the schema, and how to show it to people."""

import re
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from runledger.errors import InvalidArgument

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")


class Address(NamedTuple):
    """Connection keywords, the schema, and a URL without secrets."""

    keywords: dict[str, Any]
    schema: str
    shown: str


def parse(url: str) -> Address:
    """Read `postgresql://…`; the query parameter `schema` is ours, all else is libpq's.

    Raises InvalidArgument. Its message never quotes the URL: the part that cannot be read may be
    the password.
    """
    head, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    schemas = [unquote(pair[7:]) for pair in pairs if pair.startswith("schema=")]
    schema = schemas[-1] if schemas else "public"
    if _SCHEMA.match(schema) is None:
        raise InvalidArgument(
            f"store: schema: expected a lower-case name of at most 63 characters, found {schema!r}"
        )
    rest = "&".join(pair for pair in pairs if not pair.startswith("schema="))
    try:
        keywords = conninfo_to_dict(f"{head}?{rest}" if rest else head)
    except psycopg.ProgrammingError:
        raise InvalidArgument(
            "store: expected postgresql://user:password@host:port/database?schema=name with every "
            "part percent-encoded, found an address that libpq cannot read"
        ) from None
    shown = _shown(keywords, schema)
    timeout = keywords.get("connect_timeout") or 10
    return Address({**keywords, "connect_timeout": timeout}, schema, shown)


def _shown(keywords: dict[str, Any], schema: str) -> str:
    """Return a URL of what is known to be no secret: libpq has several parameters that are."""
    host, port = str(keywords.get("host") or ""), str(keywords.get("port") or "")
    user = f"{quote(keywords['user'])}@" if keywords.get("user") else ""
    query = f"schema={schema}"
    if set(host) & set("/,") or "," in port:
        query = f"host={quote(host)}{f'&port={port}' if port else ''}&{query}"
    else:
        user += f"[{host}]" if ":" in host else host
        user += f":{port}" if port else ""
    return f"postgresql://{user}/{quote(keywords.get('dbname') or '')}?{query}"
