"""Proofs: checkpoints of the log that are kept elsewhere, and what can be proved by them.

The tree is that of RFC 9162 over the leaves of runledger.store.tiles, a checkpoint is a C2SP signed
note, and the folder that holds them has the layout of C2SP tlog-tiles, so that other tools read it.
"""
