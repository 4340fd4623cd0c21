"""Development keys and tokens."""

import json
from pathlib import Path

import jwt
import pytest

from mesh.keys import AUDIENCE, ISSUER, Keys, KeysMissing


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path / "keys")
    keys.ensure()
    return keys


def test_a_token_verifies_with_the_published_key(keys: Keys) -> None:
    token = keys.mint("an", "acme", ["speech", "search"], ttl=60)
    published = jwt.PyJWKSet.from_json(keys.jwks.read_text())
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["RS256"], audience=AUDIENCE, issuer=ISSUER)
    assert (claims["sub"], claims["tenant"], claims["scope"]) == ("an", "acme", "speech search")
    assert claims["exp"] - claims["iat"] == 60


def test_the_private_key_is_private_and_the_jwks_is_public(keys: Keys) -> None:
    assert keys.private.stat().st_mode & 0o077 == 0
    [key] = json.loads(keys.jwks.read_text())["keys"]
    assert (key["kty"], key["alg"], "d" in key) == ("RSA", "RS256", False)


def test_keys_are_made_once(keys: Keys) -> None:
    before = keys.jwks.read_text()
    keys.ensure()
    assert keys.jwks.read_text() == before


def test_no_token_without_keys_or_without_a_tenant(keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match="make up"):
        Keys(tmp_path / "nowhere").mint("an", "acme")
    with pytest.raises(ValueError, match="tenant"):
        keys.mint("an", "")
