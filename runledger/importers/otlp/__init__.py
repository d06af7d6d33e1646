"""Spans of OpenTelemetry as runs, in any of the conventions for spans of agents."""
