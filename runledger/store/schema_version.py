"""The version of a store's layout: raised when an older ledger could misread a newer one's."""

from typing import Final

from runledger.errors import StoreIsNewer

SCHEMA_VERSION: Final = 2


def check_version(url: str, found: str) -> None:
    """Refuse a store of a newer layout."""
    if int(found) > SCHEMA_VERSION:
        raise StoreIsNewer(
            f"store {url!r}: expected layout version {SCHEMA_VERSION} or older, found {found}; "
            f"use the version of runledger that wrote it, or a newer one"
        )
