"""Load, decide, append, retry: how a command becomes events of a run."""
