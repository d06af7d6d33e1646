"""Replay: the read models built again from the log, whole or in part."""
