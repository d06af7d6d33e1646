"""The layouts of a store: what each number added, and which one a store has."""

from typing import Final

LAYOUTS: Final = {
    1: "events, blobs and settings, as in 0.1.0",
    2: "beside the log: tiles that tell damage, leases, hashes of keys, received spans; the events "
    "stay as they are, and writers of layout 1 are refused",
}
"""Number → what it is; a store is brought to the newest by whatever opens it to write."""


def stored_layout(url: str) -> int | None:
    """Return the layout of a store without changing it.

    Parameters:
        url: sqlite:///path or postgresql://….

    Returns:
        The number, or None if there is no ledger.

    Raises:
        StoreUnavailable: if the store cannot be read.
    """
    if url.startswith("sqlite:"):
        from runledger.store.sqlite.layout import stored_layout as read
    else:
        from runledger.store.postgres.layout import stored_layout as read
    return read(url)
