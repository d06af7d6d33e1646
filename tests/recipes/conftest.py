"""A copy of the tree, in which a recipe of CONTRIBUTING.md is followed."""

from pathlib import Path

import pytest
from following import Tree, copied


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """The copy; the checkout itself is never changed."""
    return copied(tmp_path / "tree")
