"""URLs that something in the chain of libraries stumbles over, and any others."""

from hypothesis import strategies as st

KNOWN = (
    "https://xn--/",
    "https://xn--a/",
    "https://a..b/",
    "https://./",
    "https://%00/",
    "https://[::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[v1.x]/",
    "https://[",
    "https://\udcff/",
    "https://x/\udc80",
    "https://x:0/",
    "https://x:99999999999999999999/",
    "https://x:\u0661/",
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://\u0662.\u0663.4.5/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "\u00e9" * 60 + "/",
    "https://" + "a." * 200 + "/",
    "https://x?\x00",
    "https://x/\r\nHost: y",
    "https://1e400/",
    "https://4294967296/",
    "data:",
    "",
)

_hosts = st.one_of(
    st.sampled_from(["xn--", "xn--a", "xn--\u00e9", "[::1]", "[", "]", "..", "0x", "%ff", "a@b"]),
    st.text(max_size=12),
    st.text("xn-.0123456789:[]%@", max_size=20),
    st.integers(-1, 2**40).map(str),
)
_tails = st.one_of(st.just("/"), st.text(max_size=12), st.integers().map(lambda n: f":{n}/"))
hostile_urls = st.one_of(
    st.sampled_from(KNOWN),
    st.builds("{}{}{}".format, st.sampled_from(["https://", "http://", "//", ""]), _hosts, _tails),
)
"""Any text that could stand in the place of a URL."""
