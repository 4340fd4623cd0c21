"""Development identity: one RSA key pair, its JWKS for the edge, and the tokens signed with it.

Production tokens come from an identity provider; nothing but the edge's JWKS changes then.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://auth.ai2text.local"
AUDIENCE = "ai2text"
SCOPES = ("speech", "recordings.read", "recordings.write", "search", "embeddings", "admin")
DEFAULT_TTL_S = 24 * 3600


class KeysMissing(Exception):
    """There is no key pair in the folder; `make up` writes one."""


@dataclass(frozen=True)
class Keys:
    """The key pair in one folder."""

    folder: Path

    @property
    def private(self) -> Path:
        """The private key, PEM, readable by its owner only."""
        return self.folder / "private.pem"

    @property
    def jwks(self) -> Path:
        """The public key as a JSON web key set."""
        return self.folder / "jwks.json"

    def exist(self) -> bool:
        """Whether there is a key pair to sign and to verify with."""
        return self.private.is_file() and self.jwks.is_file()

    def ensure(self) -> None:
        """Writes a key pair unless there is one."""
        if self.exist():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_private(self.private, _pem(key))
        self.jwks.write_text(json.dumps({"keys": [_jwk(key)]}, indent=2) + "\n", encoding="utf-8")

    def mint(self, subject: str, tenant: str, scopes: Iterable[str] = SCOPES, ttl: float = DEFAULT_TTL_S) -> str:
        """A signed token for `subject` of `tenant` that ends in `ttl` seconds.

        Raises KeysMissing when the folder has no key pair, ValueError for an empty subject or tenant.
        """
        if not subject or not tenant:
            raise ValueError("a token needs a subject and a tenant")
        if not self.exist():
            raise KeysMissing(f"there are no keys in {self.folder}: run `make up` first")
        kid = json.loads(self.jwks.read_text(encoding="utf-8"))["keys"][0]["kid"]
        return jwt.encode(
            _claims(subject, tenant, scopes, ttl), self.private.read_bytes(), "RS256", headers={"kid": kid}
        )


def _claims(subject: str, tenant: str, scopes: Iterable[str], ttl: float) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "tenant": tenant,
        "scope": " ".join(scopes),
        "iat": now,
        "exp": int(now + ttl),
    }


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)


def _jwk(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The public half; `kid` is the thumbprint of RFC 7638."""
    numbers = key.public_key().public_numbers()
    required = {"e": _base64url(_octets(numbers.e)), "kty": "RSA", "n": _base64url(_octets(numbers.n))}
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    return required | {"alg": "RS256", "use": "sig", "kid": _base64url(hashlib.sha256(canonical).digest())}


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
