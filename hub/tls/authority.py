"""Keys, certificates and revocation lists, as PEM in and PEM out; the only file that knows ``cryptography``. No I/O.

X.509 v3 (RFC 5280) with ECDSA on P-256, which every TLS library of the last ten years speaks. An authority of ours
signs certificates and nothing else: its path length is 0.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: A clock of a node may be behind ours by so much.
_BACKDATED: Final = dt.timedelta(hours=1)
_CURVE: Final = ec.SECP256R1()
_DIGEST: Final = hashes.SHA256()


class TlsError(Exception):
    """A key or certificate that cannot be used, or a request that makes no sense; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says."""

    #: Common name: a node id, the hub's id or the authority's name.
    name: str
    #: Host names and addresses it is good for; empty for clients.
    hosts: tuple[str, ...]
    serial: int
    starts: dt.datetime
    ends: dt.datetime
    #: SHA-256 of its DER form, hexadecimal.
    sha256: str


def make_authority(name: str, now: dt.datetime, lifetime: dt.timedelta) -> Signed:
    """Make an authority that signs itself."""
    key = ec.generate_private_key(_CURVE)
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), now, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _DIGEST)
    )
    return _signed(certificate, key)


def issue_server(authority: Signed, name: str, hosts: Sequence[str], now: dt.datetime, ends: dt.datetime) -> Signed:
    """Make key and certificate of a server that is reached as ``hosts``: names, IPv4 and IPv6 addresses.

    Raises:
        TlsError: no hosts, or the authority cannot be used.
    """
    if not hosts:
        raise TlsError("a server's certificate needs at least one host name or address that clients reach it by")
    names = x509.SubjectAlternativeName([_general(host) for host in hosts])
    return _issue(authority, name, now, ends, purpose=ExtendedKeyUsageOID.SERVER_AUTH, names=names)


def issue_client(authority: Signed, name: str, now: dt.datetime, ends: dt.datetime) -> Signed:
    """Make key and certificate of a client; ``name`` is its account.

    Raises:
        TlsError: the authority cannot be used.
    """
    return _issue(authority, name, now, ends, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)


def revocations(authority: Signed, serials: Iterable[tuple[int, dt.datetime]], now: dt.datetime) -> str:
    """A revocation list (CRL), PEM.

    It is good as long as its authority: OpenSSL refuses every client once a list is out of date, and there is nobody
    who would fetch a newer one.
    """
    issuer, key = _opened(authority)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(now - _BACKDATED).next_update(issuer.not_valid_after_utc)
    number = x509.CRLNumber(int(now.timestamp() * 1000))
    builder = builder.add_extension(number, critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    for serial, at in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(key, _DIGEST).public_bytes(serialization.Encoding.PEM).decode()


def revoked_serials(crl: str) -> dict[int, dt.datetime]:
    """Serial numbers in a revocation list, and since when.

    Raises:
        TlsError: it is none.
    """
    try:
        found = x509.load_pem_x509_crl(crl.encode())
    except ValueError as error:
        raise TlsError(f"no revocation list: {error}") from error
    return {entry.serial_number: entry.revocation_date_utc for entry in found}


def facts(certificate: str) -> Facts:
    """What a PEM certificate says.

    Raises:
        TlsError: it is none.
    """
    found = _certificate(certificate)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(str(name.value) for name in names)
    except x509.ExtensionNotFound:
        hosts = ()
    common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Facts(
        name=str(common[0].value) if common else "",
        hosts=hosts,
        serial=found.serial_number,
        starts=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        sha256=fingerprint(certificate),
    )


def fingerprint(certificate: str) -> str:
    """SHA-256 of a PEM certificate's DER form, hexadecimal; as ``openssl x509 -fingerprint -sha256``."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


# -- private -----------------------------------------------------------------------------------------------------------


def _issue(
    authority: Signed,
    name: str,
    now: dt.datetime,
    ends: dt.datetime,
    *,
    purpose: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName | None = None,
) -> Signed:
    issuer, issuer_key = _opened(authority)
    ends = min(ends, issuer.not_valid_after_utc)
    if ends <= now:
        raise TlsError(f"the authority has ended on {issuer.not_valid_after_utc:%Y-%m-%d}: `iothub tls init --replace`")
    key = ec.generate_private_key(_CURVE)
    builder = (
        _builder(_name(name), issuer.subject, key.public_key(), now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return _signed(builder.sign(issuer_key, _DIGEST), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise TlsError(f"{host!r} is neither an address nor a host name in ASCII") from error


def _opened(authority: Signed) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = _certificate(authority.certificate)
    try:
        key = serialization.load_pem_private_key(authority.key.encode(), None)
    except (ValueError, TypeError) as error:
        raise TlsError("the key of the authority cannot be read: it is damaged or has a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise TlsError("the key of the authority does not belong to its certificate")
    return certificate, key


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise TlsError(f"no certificate: {error}") from error


def _signed(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Signed:
    return Signed(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
