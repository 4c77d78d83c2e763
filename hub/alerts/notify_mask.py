"""Keeps what is secret in the address of a channel out of every text about it. Pure.

Which part of an address is the secret differs from service to service (a password, a path, the host of ``tgram://``):
everything is taken for one but what is known to be harmless.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK: Final = "…"
#: Schemes whose host is one, and no token.
_REAL_HOSTS: Final = frozenset(
    scheme + secure
    for scheme in ("json", "xml", "form", "mailto", "gotify", "mmost", "mqtt", "rsyslog")
    for secure in ("", "s")
)
#: Parameters that say who and how.
_HARMLESS: Final = frozenset(
    ("to", "from", "cc", "bcc", "reply", "name", "smtp", "format", "overflow", "mode", "method", "verify", "cto", "rto")
)
#: Shorter pieces are words such as ``p``: taking them out would leave no text.
_SHORTEST: Final = 4
_SHORTEST_PASSWORD: Final = 2
_PIECES: Final = re.compile(r"[/:@,]+")


class Mask:
    """Takes the secrets of one address out of texts."""

    def __init__(self, url: str) -> None:
        found = {form for secret in {url, *_secrets(url)} for form in _forms(secret)}
        longest_first = sorted(found, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def __call__(self, text: str) -> str:
        """``text`` with every secret replaced by ``…``."""
        return self._secret.sub(MASK, text) if self._secret is not None else text


def host_of(url: str) -> str:
    """Where messages go, for people; empty where that is a secret."""
    parts = _split(url)
    if parts is None or parts[0] not in _REAL_HOSTS:
        return ""
    _, authority, _, query = parts
    named = dict(parse_qsl(query)).get("smtp")
    return named or authority.rpartition("@")[2]


# -- private -----------------------------------------------------------------------------------------------------------


def _split(url: str) -> tuple[str, str, str, str] | None:
    """Scheme, authority, path, query."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return parts.scheme.lower(), parts.netloc, parts.path + "/" + parts.fragment, parts.query


def _secrets(url: str) -> Iterator[str]:
    parts = _split(url)
    if parts is None:
        return
    scheme, authority, path, query = parts
    account, _, host = authority.rpartition("@")
    user, _, password = account.partition(":")
    if len(password) >= _SHORTEST_PASSWORD:
        yield password
    pieces = [] if scheme.startswith("mailto") else [user]
    pieces += [] if scheme in _REAL_HOSTS else [host, *_PIECES.split(host)]
    pieces += [path.strip("/"), *_PIECES.split(path)]
    pieces += [value for name, value in parse_qsl(query) if name.lower() not in _HARMLESS]
    yield from (piece for piece in pieces if len(piece) >= _SHORTEST)


def _forms(secret: str) -> set[str]:
    """As it is written in addresses, headers and errors."""
    plain = unquote(secret)
    return {secret, plain, quote(plain), quote(plain, safe=""), quote_plus(plain), repr(plain)[1:-1]}
