"""The certificate of a server, read again when its files change, so that a renewed one needs no restart."""

import os
import ssl
from collections.abc import Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from perdure.base.errors import ConfigurationError
from perdure.process.config import PublicConfig

HTTP_ALPN: Final = ("h2", "http/1.1")

_Stamp = tuple[int, int]


class ServerCertificate:
    """TLS of a listening port.

    Args:
        cert_file: PEM file with the certificate and those that it rests on.
        key_file: PEM file with its key.
        client_ca_file: PEM file with authorities, one of which must have signed a client's certificate; empty: clients need none. Those
            that are added to it count with the next change; those taken out, after a restart.
        alpn: Protocols to choose from, best first.

    Raises:
        ConfigurationError: The files cannot be read, or the key is another certificate's.
    """

    def __init__(
        self, cert_file: str, key_file: str, log: FilteringBoundLogger, *, client_ca_file: str = "", alpn: Sequence[str] = ()
    ) -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        self._client_ca_file = client_ca_file
        self._log = log
        self._context = _empty(alpn)
        try:
            self._stamps = self._read_stamps()
            self._load_into(self._context)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"{self._named()} cannot be used: {error}") from None

    def context(self) -> ssl.SSLContext:
        """Return the one context, with what the files hold now; new ones that cannot be used are told and left alone."""
        try:
            stamps = self._read_stamps()
            if stamps != self._stamps:
                self._load_into(_empty(()))  # half of a pair must not get into the one that is in use
                self._load_into(self._context)
                self._log.info("certificate_read_again", file=self._cert_file)
                self._stamps = stamps
        except OSError as error:
            self._log.warning("certificate_not_readable", file=self._cert_file, reason=str(error))
        return self._context

    def _load_into(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self._cert_file, self._key_file)
        if self._client_ca_file:
            context.load_verify_locations(self._client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED

    def _read_stamps(self) -> list[_Stamp]:
        found = [os.stat(file) for file in (self._cert_file, self._key_file, self._client_ca_file) if file]
        return [(each.st_mtime_ns, each.st_size) for each in found]

    def _named(self) -> str:
        authorities = f", tls_client_ca_file {self._client_ca_file}" if self._client_ca_file else ""
        return f"tls_cert_file {self._cert_file}, tls_key_file {self._key_file}{authorities}"


def certificate_of(config: PublicConfig, log: FilteringBoundLogger, *, alpn: Sequence[str] = ()) -> ServerCertificate | None:
    """Return what the settings of a process name, or None where it speaks in clear.

    Raises:
        ConfigurationError: One of two files is missing, or they cannot be used.
    """
    files = (config.tls_cert_file, config.tls_key_file)
    if all(files):
        return ServerCertificate(*files, log, client_ca_file=config.tls_client_ca_file, alpn=alpn)
    if any(files) or config.tls_client_ca_file:
        raise ConfigurationError("TLS needs both tls_cert_file and tls_key_file")
    return None


def scheme_of(config: PublicConfig) -> str:
    """Return what URLs of a process that speaks HTTP begin with."""
    return "https" if config.tls_cert_file else "http"


def _empty(alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
