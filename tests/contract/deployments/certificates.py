"""A private authority and certificates from it, made for one test."""

import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Certificates(NamedTuple):
    """PEM files: the authority to trust, and somebody's certificate and key."""

    authority: Path
    certificate: Path
    key: Path


class Authority:
    """Signs certificates; its own is in `authority.pem` of the directory, where all others go, too."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = generate_private_key(SECP256R1())
        self._subject = _name("an authority of one's own")
        own = _builder(self._subject, self._subject, self._key, is_authority=True).sign(self._key, SHA256())
        self.file = directory / "authority.pem"
        self.file.write_bytes(own.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, stem: str = "") -> Certificates:
        """Write certificate and key for a host or a client: `STEM-certificate.pem`, `STEM-key.pem`."""
        prefix = f"{stem}-" if stem else ""
        made = Certificates(self.file, self._directory / f"{prefix}certificate.pem", self._directory / f"{prefix}key.pem")
        key = generate_private_key(SECP256R1())
        builder = _builder(_name(name), self._subject, key, is_authority=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        made.certificate.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made


def make_certificates(directory: Path) -> Certificates:
    """Write the files of an authority, and of `localhost` from it, into `directory`."""
    return Authority(directory).issue("localhost")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, *, is_authority: bool) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
