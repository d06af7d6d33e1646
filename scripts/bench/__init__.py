"""Measures the ledger beside its peers, in one run on one machine: `python -m scripts.bench`."""
