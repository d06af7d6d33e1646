"""Queries on the read models, answered as records."""
