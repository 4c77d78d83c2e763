"""Verifies ID tokens (JWT): signature, issuer, audience, times and nonce."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

import jwt

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Signatures with a key that the issuer alone has; ``none`` and shared secrets (HS256) are no proof.
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
#: Clocks may differ by so much.
_LEEWAY_S: Final = 60


class WrongToken(Exception):  # noqa: N818  the name says what the caller is told
    """Not a token of this issuer for this hub and this login; the message holds nothing of it."""


class UnknownKey(WrongToken):
    """Signed with a key that is not among those given; there may be newer ones."""


def verify(token: str, keys: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """The claims of ``token``.

    Args:
        token: as the issuer's token endpoint gave it.
        keys: JWKS of the issuer.
        issuer: that must have made it.
        client_id: whom it must be for.
        nonce: of the login that it must answer.

    Raises:
        UnknownKey: fetch the keys anew.
        WrongToken: it proves nothing.
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise WrongToken(f"it is not signed with one of {', '.join(ALGORITHMS)}")
        claims = jwt.decode(
            token,
            _key(keys, header),
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=issuer,
            leeway=_LEEWAY_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.ExpiredSignatureError:
        raise WrongToken("it has expired; are the clocks of issuer and hub right?") from None
    except jwt.ImmatureSignatureError:
        raise WrongToken("it is of the future; are the clocks of issuer and hub right?") from None
    except jwt.InvalidAudienceError:
        raise WrongToken("it is for another client") from None
    except jwt.InvalidIssuerError:
        raise WrongToken("another issuer made it") from None
    except jwt.PyJWTError as error:
        raise WrongToken(f"it cannot be verified ({type(error).__name__})") from None
    if claims.get("azp", client_id) != client_id:
        raise WrongToken("it is for another client")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise WrongToken("it answers another login")
    if not claims["sub"]:
        raise WrongToken("it names nobody")
    return claims


def _key(keys: Mapping[str, Any], header: Mapping[str, Any]) -> jwt.PyJWK:
    """The key that the header names; the only fitting one where it names none."""
    fitting = []
    for entry in keys.get("keys", ()):
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        if "kid" in header and entry.get("kid") != header["kid"]:
            continue
        try:
            key = jwt.PyJWK.from_dict(entry)
        except jwt.PyJWTError:
            continue  # of a kind that nobody here uses
        # A shared secret among the keys is one that everybody can read.
        if key.algorithm_name == header["alg"]:
            fitting.append(key)
    if len(fitting) != 1:
        raise UnknownKey("it is signed with a key that the issuer does not list")
    return fitting[0]
