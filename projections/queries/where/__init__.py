"""The filter language: an SQL condition on runs, rebuilt from a list of what is allowed."""
