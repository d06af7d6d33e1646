"""Callbacks: the log is the outbox; a dispatcher follows it, delivers, and records each attempt."""

from runledger.callbacks.process import dispatch
from runledger.callbacks.settings import CALENDAR, CallbackSettings
from runledger.callbacks.signatures import parse_key

__all__ = ["CALENDAR", "CallbackSettings", "dispatch", "parse_key"]
