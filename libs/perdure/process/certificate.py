"""The certificate of a server, read again when its files change, so that a renewed one needs no restart."""

import os
import ssl
from typing import Final

from structlog.typing import FilteringBoundLogger

from perdure.base.errors import ConfigurationError

_Stamp = tuple[int, int]


class ServerCertificate:
    """TLS of a listening port.

    Args:
        cert_file: PEM file with the certificate and those that it rests on.
        key_file: PEM file with its key.

    Raises:
        ConfigurationError: The files cannot be read.
    """

    def __init__(self, cert_file: str, key_file: str, log: FilteringBoundLogger) -> None:
        self._files: Final = (cert_file, key_file)
        self._log = log
        try:
            self._stamps = self._read_stamps()
            self._context = self._load()
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"tls_cert_file {cert_file} and tls_key_file {key_file} cannot be used: {error}") from None

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection; new files that cannot be used are told and left alone."""
        try:
            stamps = self._read_stamps()
            if stamps != self._stamps:
                self._context = self._load()
                self._log.info("certificate_read_again", file=self._files[0])
                self._stamps = stamps
        except OSError as error:
            self._log.warning("certificate_not_readable", file=self._files[0], reason=str(error))
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        return context

    def _read_stamps(self) -> list[_Stamp]:
        found = [os.stat(file) for file in self._files]
        return [(each.st_mtime_ns, each.st_size) for each in found]
