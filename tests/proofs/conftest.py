"""What the tests of proofs share."""

from tests.store.conftest import raw

__all__ = ["raw"]
