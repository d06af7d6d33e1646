"""Which addresses are public, and which URLs are refused before any network is touched."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runledger.errors import AddressRefused, InvalidArgument, UrlRefused
from runledger.outbound import AddressPolicy, check_url, public_address, why_not_public

REFUSED = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "CGNAT",
    "100.127.255.255": "CGNAT",
    "169.254.1.1": "link-local",
    "169.254.169.254": "metadata",
    "168.63.129.16": "metadata",
    "100.100.100.200": "metadata",
    "192.0.0.192": "metadata",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "192.0.2.1": "documentation",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "198.18.0.1": "benchmarks",
    "192.88.99.1": "6to4",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "IPv4-compatible form of 127.0.0.1",
    "::169.254.169.254": "IPv4-compatible form of 169.254.169.254",
    "::8.8.8.8": "IPv4-compatible form of 8.8.8.8",
    "::ffff:127.0.0.1": "IPv4-mapped form of 127.0.0.1",
    "::ffff:169.254.169.254": "IPv4-mapped form of 169.254.169.254",
    "::ffff:8.8.8.8": "IPv4-mapped form of 8.8.8.8",
    "::ffff:0:10.0.0.1": "reserved",
    "64:ff9b::a9fe:a9fe": "NAT64 form of 169.254.169.254",
    "64:ff9b::808:808": "NAT64 form of 8.8.8.8",
    "64:ff9b:1::1": "NAT64",
    "64:ff9b:1:ffff:ffff:ffff:7f00:1": "NAT64",
    "2002:a9fe:a9fe::": "6to4 form of 169.254.169.254",
    "2002:808:808::1": "6to4 form of 8.8.8.8",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo form of 192.0.2.45",
    "2001:2::1": "protocols",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "100::1": "reserved",
    "5f00::1": "reserved",
    "4000::1": "reserved",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "ff0e::1": "multicast",
}


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_an_address_that_is_not_public_is_refused_with_its_reason(address, reason):
    assert not public_address(address)
    assert reason in why_not_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "126.255.255.255",
     "2606:4700:4700::1111", "2a00:1450:4001::1", "2620:fe::fe", "2400::1"],
)  # fmt: skip
def test_an_address_of_the_internet_is_public(address):
    assert public_address(address)
    assert why_not_public(address) is None


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_not_global_is_refused_in_ipv4(address: IPv4Address):
    if not address.is_global or address.is_multicast:
        assert not public_address(address)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public_in_ipv6(address: IPv6Address):
    if address not in ip_network("2000::/3") or not address.is_global:
        assert not public_address(address)


@given(
    st.ip_addresses(v=4),
    st.sampled_from(["::", "::ffff:0:0", "64:ff9b::", "::ffff:0:0:0"]),
)
def test_no_ipv4_address_is_reached_through_an_ipv6_form(address: IPv4Address, prefix: str):
    form = IPv6Address(int(IPv6Address(prefix)) | int(address))
    assert not public_address(form)
    assert AddressPolicy(allow_private=True).refusal("x", form) is not None or form == ip_address(
        "::1"
    )


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("::1", True),
        ("fd12::1", True),
        ("100.64.0.1", True),
        ("8.8.8.8", True),
        ("169.254.169.254", False),
        ("fd00:ec2::254", False),
        ("100.100.100.200", False),
        ("0.0.0.0", False),
        ("169.254.1.1", False),
        ("fe80::1", False),
        ("224.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_allowing_private_addresses_never_allows_metadata_or_tunnels(address, passes):
    policy = AddressPolicy(allow_private=True)
    assert (policy.refusal("x.example", ip_address(address)) is None) is passes


def test_an_allowed_host_may_be_private_and_no_other():
    policy = AddressPolicy(allowed_hosts=frozenset({"Hooks.Internal"}))
    private = ip_address("10.0.0.1")
    assert policy.refusal("hooks.internal.", private) is None
    assert policy.refusal("other.internal", private) == "private"
    assert policy.refusal("hooks.internal", ip_address("169.254.169.254")) is not None


STRICT = AddressPolicy()
HTTP_TOO = AddressPolicy(allow_http=True)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/", "expected the scheme https, found 'http'"),
        ("ftp://example.com/", "found 'ftp'"),
        ("file:///etc/passwd", "found 'file'"),
        ("javascript:alert(1)", "found 'javascript'"),
        ("example.com/x", "found none"),
        ("//example.com/x", "found none"),
        ("", "found none"),
        (" https://example.com/", "found none"),
        ("https://", "expected a host"),
        ("https:///path", "expected a host"),
        ("https://user@example.com/", "expected no user or password"),
        ("https://user:secret@example.com/", "expected no user or password"),
        ("https://example.com\\@10.0.0.1/", "expected no user or password"),
        ("https://example.com:0/", "expected a port"),
        ("https://example.com:65536/", "expected a port"),
        ("https://example.com:x/", "not a url"),
        ("https://example.com/\r\nHost: x", "not a url"),
        ("https://[::1/", "not a url"),
        ("https://exa mple.com/", "expected a host name that could resolve"),
        ("https://a..b/", "expected a host name that could resolve"),
        (f"https://{'a' * 64}.example/", "expected a host name that could resolve"),
        (f"https://{'a.' * 126}ab/", "expected a host name that could resolve"),
        ("https://./", "expected a host name that could resolve"),
        ("https://0177.0.0.1/", "not a url: Invalid IPv4 address"),
        ("https://example.com/" + "x" * 10_000, "expected 2048 characters at most, found 10020"),
        (None, "expected text, found NoneType"),
        (b"https://example.com", "expected text, found bytes"),
    ],
)
def test_a_url_that_could_never_be_called_is_refused_at_once(url, says):
    with pytest.raises(UrlRefused) as caught:
        check_url(url, STRICT)
    assert says in str(caught.value)
    assert isinstance(caught.value, InvalidArgument)


def test_a_refused_url_does_not_repeat_its_password():
    with pytest.raises(UrlRefused) as caught:
        check_url("https://user:secret@example.com/", STRICT)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0x0.1", "017700000001",
        "127.0.0.1.", "localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::ffff:127.0.0.1]",
        "169.254.169.254", "0xa9fea9fe", "[fe80::1%25eth0]", "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]", "127。0。0。1", "0.0.0.0", "0", "10.1", "192.168.257",
    ],
)  # fmt: skip
def test_a_spelled_out_address_is_refused_at_once(host):
    with pytest.raises(AddressRefused, match="expected a public address"):
        check_url(f"http://{host}/", HTTP_TOO)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a?b=c#d",
        "https://8.8.8.8/x",
        "https://[2606:4700:4700::1111]/",
        "https://bücher.example/ü",
        "HTTPS://EXAMPLE.COM/",
        "https://example.com/" + "x" * (2048 - 20),
    ],
)
def test_a_url_that_may_be_public_passes(url):
    assert check_url(url, STRICT).scheme == "https"


def test_plain_http_passes_only_where_it_is_allowed():
    assert check_url("http://example.com/", HTTP_TOO).scheme == "http"
    with pytest.raises(UrlRefused):
        check_url("http://example.com/", STRICT)


@given(st.text(max_size=60))
def test_any_text_is_taken_or_refused_never_a_crash(text):
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        with contextlib.suppress(UrlRefused):
            assert check_url(url, HTTP_TOO).host
