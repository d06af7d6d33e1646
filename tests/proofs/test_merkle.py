"""Roots and proofs are those of RFC 9162, and what is spoilt proves nothing."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.proofs.merkle import (
    EMPTY,
    complete_root,
    consistency,
    consistent,
    included,
    inclusion,
    root_of,
    tree_root,
)

# The vectors of certificate-transparency for RFC 6962, whose trees RFC 9162 has kept.
INPUTS = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [sha256(b"\0" + bytes.fromhex(text)).digest() for text in INPUTS]


class Leaves:
    """Subtrees of a list of leaves."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._leaves = leaves

    def subtree(self, start: int, height: int) -> bytes:
        return complete_root(b"".join(self._leaves[start : start + (1 << height)]))


def some(count: int) -> list[bytes]:
    return [sha256(b"%d" % at).digest() for at in range(count)]


def test_the_roots_are_those_of_the_vectors() -> None:
    assert [root_of(LEAVES[:size]).hex() for size in range(1, 9)] == ROOTS
    assert root_of([]) == EMPTY


@pytest.mark.parametrize("size", range(1, 18))
def test_every_leaf_of_a_small_tree_is_proved(size: int) -> None:
    leaves = some(size)
    root = root_of(leaves)
    for index in range(size):
        proof = inclusion(Leaves(leaves), index, size)
        for claimed in range(size + 1):
            assert included(leaves[index], claimed, size, proof, root) == (claimed == index)


@pytest.mark.parametrize("size", range(1, 18))
def test_every_smaller_tree_is_a_prefix(size: int) -> None:
    leaves = some(size)
    for old in range(1, size + 1):
        proof = consistency(Leaves(leaves), old, size)
        assert consistent(old, root_of(leaves[:old]), size, root_of(leaves), proof)
        other = root_of([*leaves[: old - 1], b"x" * 32])
        assert not consistent(old, other, size, root_of(leaves), proof)


@given(st.data(), st.integers(1, 700))
def test_a_proof_that_is_spoilt_does_not_hold(data: st.DataObject, size: int) -> None:
    leaves = some(size)
    root, index = root_of(leaves), data.draw(st.integers(0, size - 1))
    assert tree_root(Leaves(leaves), 0, size) == root
    proof = inclusion(Leaves(leaves), index, size)
    assert included(leaves[index], index, size, proof, root)
    assert not included(b"x" * 32, index, size, proof, root)
    assert not included(leaves[index], index, size, [*proof, b"x" * 32], root)
    if proof:
        at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        spoilt = bytearray(proof[at])
        spoilt[bit // 8] ^= 1 << bit % 8
        assert not included(
            leaves[index], index, size, [*proof[:at], bytes(spoilt), *proof[at + 1 :]], root
        )
        assert not included(leaves[index], index, size, proof[:-1], root)
