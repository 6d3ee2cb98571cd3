"""Deployment URLs, request targets and request headers."""

import pytest

from perdure.deployments.address import parse_address
from perdure.deployments.headers import encode_headers


@pytest.mark.parametrize(
    ("url", "authority", "port", "target"),
    [
        ("http://h:9080", "h:9080", 9080, "/discover"),
        ("http://h", "h", 80, "/discover"),
        ("https://h/", "h", 443, "/discover"),
        ("https://h:80/base/", "h:80", 80, "/base/discover"),
        ("http://h/base?x=1", "h", 80, "/base/discover?x=1"),
        ("http://[::1]:9080/a/b", "[::1]:9080", 9080, "/a/b/discover"),
    ],
)
def test_a_url_is_cut_into_authority_and_target(url: str, authority: str, port: int, target: str) -> None:
    address = parse_address(url)
    assert (address.authority, address.port, address.target("/discover")) == (authority, port, target)


@pytest.mark.parametrize("url", ["", "h:9080", "/discover", "ftp://h", "http://", "http://h:99999", "http://häuser"])
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_address(url)


def test_additional_headers_win_whatever_their_case_but_cannot_touch_the_connection() -> None:
    encoded = encode_headers(b"h", [("accept", "a"), ("x-b", "b")], {"Accept": " c ", "Connection": "close", "Host": "other"})
    assert encoded == [(b"host", b"other"), (b"accept", b"c"), (b"x-b", b"b")]
