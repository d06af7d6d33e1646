"""The routes on which the official client of the replaced system works, unmodified."""
