"""The receiver of OpenTelemetry: OTLP over HTTP.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""
