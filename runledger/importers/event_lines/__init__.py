"""Lines of events: the export of a log, and its import."""
