"""Sessions of Claude Code as runs: a prompt and what followed it is a run."""
