"""Requests to untrusted addresses, for images and callbacks; addresses are checked on connect."""

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
