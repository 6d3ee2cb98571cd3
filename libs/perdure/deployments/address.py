"""Where a deployment lives: its URL cut into what connecting and the request line need."""

from urllib.parse import urlsplit

import msgspec

DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(msgspec.Struct, frozen=True):
    """A deployment URL. `base_path` has no trailing slash; `query` is without the question mark."""

    scheme: str
    host: str
    port: int
    base_path: str
    query: str

    @property
    def authority(self) -> str:
        """Return host and port as the `host` header wants them: the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def target(self, path: str) -> str:
        """Return the request target of `path` (with its leading slash) below the base path, with the query kept at the end."""
        return f"{self.base_path}{path}?{self.query}" if self.query else self.base_path + path


def parse_address(url: str) -> Address:
    """Cut `url` into its parts.

    Raises:
        ValueError: The URL is not an absolute http or https URL in ASCII.
    """
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not url.isascii():
        raise ValueError(f"{url!r} is not an absolute http or https URL")
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), parts.query)
