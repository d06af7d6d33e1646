"""Generations of the read models: built, live, kept, and as of a moment."""
