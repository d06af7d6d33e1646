"""Requests to addresses that strangers chose: image URLs and callbacks, guarded at connect time."""

from runledger.outbound.addresses import AddressPolicy, public_address, why_not_public
from runledger.outbound.client import GuardedClient, Resolver, Response
from runledger.outbound.urls import check_url

__all__ = [
    "AddressPolicy",
    "GuardedClient",
    "Resolver",
    "Response",
    "check_url",
    "public_address",
    "why_not_public",
]
