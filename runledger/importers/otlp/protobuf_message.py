"""Messages of OTLP in protobuf; they need opentelemetry-proto, which the extra `server` has."""

from importlib import import_module
from typing import Any

from runledger.errors import ImportFailed, InvalidArgument


def parsed(body: bytes, module: str, name: str, request: str) -> Any:
    """Return a message that was parsed.

    Parameters:
        body: its bytes.
        module: the module of opentelemetry.proto that has its class, such as `trace.v1.trace_pb2`.
        name: the name of the class.
        request: the request that has the same fields, as an error names it.

    Raises:
        ImportFailed: if opentelemetry-proto is not installed.
        InvalidArgument: for bytes that are no such message.
    """
    try:
        from google.protobuf.message import DecodeError

        message = getattr(import_module(f"opentelemetry.proto.{module}"), name)()
    except ImportError as e:
        raise ImportFailed(
            "protobuf: expected opentelemetry-proto, found it is not installed; "
            "pip install 'run-event-ledger[server]'"
        ) from e
    try:
        message.ParseFromString(body)
    except DecodeError as e:
        raise InvalidArgument(f"expected an {request} in protobuf: {e}") from e
    return message
