"""The Merkle tree of RFC 9162, section 2.1: roots, proofs of inclusion and of consistency."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Protocol

HASH: Final = 32
"""Bytes of a hash."""
EMPTY: Final = sha256(b"").digest()
"""The root of a tree without leaves."""


class Subtrees(Protocol):
    """Gives the roots of complete subtrees."""

    def subtree(self, start: int, height: int) -> bytes:
        """Return the root of the leaves start <= index < start + 2^height."""


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def complete_root(hashes: bytes) -> bytes:
    """Return the root over a power of two of hashes, 32 bytes each."""
    row = [hashes[at : at + HASH] for at in range(0, len(hashes), HASH)]
    while len(row) > 1:
        row = [node(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


class Frontier:
    """The root of leaves that come one after the other, in memory of the logarithm of their count.

    This is how a log is verified that is read from its beginning.
    """

    def __init__(self) -> None:
        self.size = 0
        self._complete: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add the next leaf."""
        size, found = self.size, leaf
        while size & 1:
            found, size = node(self._complete.pop(), found), size >> 1
        self._complete.append(found)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self._complete:
            return EMPTY
        found = self._complete[-1]
        for left in reversed(self._complete[:-1]):
            found = node(left, found)
        return found


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


def tree_root(tree: Subtrees, start: int, end: int) -> bytes:
    """Return the root over the leaves start <= index < end.

    `start` is a multiple of the largest power of two below their count, as in every proof.
    """
    count = end - start
    if count == 0:
        return EMPTY
    if count & (count - 1) == 0:
        return tree.subtree(start, count.bit_length() - 1)
    middle = start + _split(count)
    return node(tree_root(tree, start, middle), tree_root(tree, middle, end))


def inclusion(tree: Subtrees, index: int, size: int) -> list[bytes]:
    """Return the proof that a leaf is in the tree of `size` leaves; RFC 9162, 2.1.3.1."""
    start, end, found = 0, size, list[bytes]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append(tree_root(tree, middle, end))
            end = middle
        else:
            found.append(tree_root(tree, start, middle))
            start = middle
    return found[::-1]


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a proof of inclusion holds; RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node(step, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency(tree: Subtrees, old: int, size: int) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix; RFC 9162, 2.1.4.1."""
    if not 0 < old < size:
        return []
    start, end, whole, found = 0, size, True, list[bytes]()
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append(tree_root(tree, middle, end))
            end = middle
        else:
            found.append(tree_root(tree, start, middle))
            start, whole = middle, False
    return [*([] if whole else [tree_root(tree, start, end)]), *found[::-1]]


def consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof of consistency holds; RFC 9162, 2.1.4.2."""
    if not 0 < old <= size:
        return old == 0 and not proof
    if old == size:
        return old_root == root and not proof
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    if not steps:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(step, first), node(step, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, step)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == root


def _split(count: int) -> int:
    """Return the largest power of two that is smaller than a count."""
    return 1 << ((count - 1).bit_length() - 1)
