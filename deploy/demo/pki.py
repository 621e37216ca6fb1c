"""Writes the demo's throw-away public key infrastructure.

usage: pki.py DIRECTORY

A root and an intermediate, a server certificate for every host of the demo, two clients with SPIFFE identities (issued
by the intermediate) and a rogue that nobody vouches for. Per name: NAME.crt (the leaf), NAME.chain.crt (what to
present), NAME.key. Keys are made anew on every run and are readable by their owner only.
"""

import datetime
import ipaddress
import os
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = [
    "pay.example.com",
    "accounts.example.com",
    "catalogue.example.com",
    "as.example.com",
    "partner-as.example.net",
    "localhost",
]
# The certificates outlive `KEEP=1` sessions and nothing else.
LIFETIME = datetime.timedelta(days=2)
NOW = datetime.datetime.now(datetime.timezone.utc)


def key_usage(*, authority):
    """A CA signs certificates and revocation lists; a leaf signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


class Entity:
    """A key, its certificate, and the certificates to present with it."""

    def __init__(self, common_name, issuer=None, *, path_length=None, authority=False, names=(), purpose=None):
        self.issuer = issuer
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "keybound demo"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        signer = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(minutes=5))
            .not_valid_after(NOW + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
            .add_extension(key_usage(authority=authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        if purpose:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def chain(self):
        """What to present: the leaf and its intermediates. The root is the other side's anchor and stays out."""
        entity, presented = self, [self]
        while entity.issuer and entity.issuer.issuer:
            entity = entity.issuer
            presented.append(entity)
        return presented

    def write(self, directory, name):
        (directory / f"{name}.crt").write_bytes(self.pem())
        (directory / f"{name}.chain.crt").write_bytes(b"".join(entity.pem() for entity in self.chain()))
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        handle = os.open(directory / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
    root = Entity("Demo Root", authority=True, path_length=1)
    intermediate = Entity("Demo Clients", root, authority=True, path_length=0)

    def spiffe(path):
        return x509.UniformResourceIdentifier(f"spiffe://example.org/ns/finance/sa/{path}")

    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    entities = {
        "ca": root,
        "intermediate": intermediate,
        "server": Entity(
            "pay.example.com", root, names=[*map(x509.DNSName, HOSTS), loopback], purpose=server
        ),
        "client-1": Entity("client-1", intermediate, names=[spiffe("batch-settlement")], purpose=client),
        "client-2": Entity("client-2", intermediate, names=[spiffe("ledger-viewer")], purpose=client),
        "rogue": Entity("rogue", names=[spiffe("batch-settlement")], purpose=client),
    }
    for name, entity in entities.items():
        entity.write(directory, name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
