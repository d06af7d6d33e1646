"""The table of public IP addresses; `ipaddress.is_global` alone accepts tunnelled addresses.

Source: the IANA special-purpose address registries (RFC 6890), and the providers' documentation for
metadata services on addresses that the registries do not list as special.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

IPAddress = IPv4Address | IPv6Address

_METADATA: Final = tuple(
    ip_network(network)
    for network in (
        "169.254.169.254/32",  # nearly every cloud
        "168.63.129.16/32",  # Azure's host agent, public according to the registries
        "100.100.100.200/32",  # Alibaba, inside the carriers' shared range
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # Amazon, inside the unique local range
        "fd20:ce::254/128",  # Google, likewise
    )
)

_INTERNAL: Final = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("fc00::/7", "private (unique local)"),
        ("100.64.0.0/10", "shared by carriers (CGNAT)"),
    )
)

_NEVER: Final = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified (this host)"),
        ("169.254.0.0/16", "link-local"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.88.99.0/24", "reserved (6to4 relays)"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified (this host)"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64 (local use)"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "reserved for documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "reserved for documentation"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)

_UNICAST: Final = IPv6Network("2000::/3")


def _embedded(address: IPAddress) -> IPv4Address | None:
    """Return the IPv4 address that a tunnel or translator would reach for this IPv6 address."""
    if isinstance(address, IPv4Address):
        return None
    if address.teredo is not None:
        return address.teredo[1]
    if address.sixtofour is not None:
        return address.sixtofour
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    prefixes = ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
    return last if any(address in IPv6Network(prefix) for prefix in prefixes) else None


def why_not_public(address: IPAddress | str, *, internal: bool = False) -> str | None:
    """Return why an address is refused, or None for a public one.

    With `internal`, loopback, private and shared addresses pass; metadata services, link-local,
    multicast and every tunnelled form of an IPv4 address never do.
    """
    ip = ip_address(address) if isinstance(address, str) else address
    if any(ip in network for network in _METADATA):
        return "a metadata service"
    # Loopback is checked before the tables of `never`: ::1 is also in ::/96.
    for network, reason in _INTERNAL:
        if ip in network:
            return None if internal else reason
    for network, reason in _NEVER:
        if ip in network:
            embedded = _embedded(ip)
            return reason if embedded is None or not int(ip) else f"{reason} form of {embedded}"
    if isinstance(ip, IPv6Address) and ip not in _UNICAST:
        return "reserved"
    # Python's own table is checked last: its releases add new reservations.
    return None if ip.is_global else "reserved"


def public_address(address: IPAddress | str) -> bool:
    """Return whether an address belongs to the public internet."""
    return why_not_public(address) is None


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """The allowed addresses: https to public addresses, and what these three fields allow in
    addition.

    `allow_private` allows loopback, private and shared addresses for every host (for development);
    `allowed_hosts` allows them only for these names; `allow_http` allows http.
    """

    allow_private: bool = False
    allow_http: bool = False
    allowed_hosts: frozenset[str] = frozenset()

    def refusal(self, host: str, address: IPAddress) -> str | None:
        """Return why `host` may not be reached at `address`, or None if it may."""
        named = host.lower().rstrip(".") in {
            name.lower().rstrip(".") for name in self.allowed_hosts
        }
        return why_not_public(address, internal=self.allow_private or named)
