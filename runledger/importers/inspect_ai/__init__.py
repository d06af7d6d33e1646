"""Evaluation logs of Inspect as runs: a sample in an epoch is a run."""
