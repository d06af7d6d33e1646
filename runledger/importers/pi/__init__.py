"""Sessions of the pi coding agent as runs: a prompt and what followed it is a run."""
