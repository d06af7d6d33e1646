"""Sessions of Codex as runs: a prompt and what followed it is a run."""
