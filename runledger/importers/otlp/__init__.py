"""Spans of OpenTelemetry as runs: what agents do, told in any of the conventions for it."""
