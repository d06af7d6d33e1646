"""Trace exports of Langfuse as runs: a trace is a run."""
