"""A part of the ledger: some of its methods, on the open resources."""

from runledger.ledger.open_ledger import OpenLedger


class LedgerPart:
    """A group of the ledger's methods.

    Parameters:
        opened: the open store, read models and actor that the methods work with.
    """

    def __init__(self, opened: OpenLedger) -> None:
        self.opened = opened
