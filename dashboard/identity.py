"""Who is at the other end of a session cookie. The cookie holds the API's own token; only the API can say whose it is.

request ─▶ cookie ─▶ asked lately? ─▶ yes: what was said
                          └─▶ no: GET /token ─▶ known · signed out · API away (then what was said last still counts)
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dashboard.errors import ApiAway, SignedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.client import Client

#: The session cookie.
COOKIE: Final = "iothub_session"
#: A revoked token opens nothing after so long, whatever is cached; the API refuses it at once anyway.
_FRESH_S: Final = 10.0
#: While the API is away, pages that say so are still shown to whom it knew so long ago.
_STALE_S: Final = 12 * 3600.0
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in user."""

    user: str
    role: str
    scope: str
    token: str

    @property
    def may_operate(self) -> bool:
        """Whether to offer commands and what handles alerts; the API decides in the end."""
        return self.role in ("operator", "admin") and self.scope in ("operate", "full")

    @property
    def may_change(self) -> bool:
        """Whether to offer what only administrators may."""
        return self.role == "admin" and self.scope == "full"


class Identities:
    """Asks the API, and remembers for some seconds. Safe from several threads."""

    def __init__(self, client: Client, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock_s = clock_s
        self._lock = threading.Lock()
        #: Token → who, and when the API said so.
        self._known: OrderedDict[str, tuple[Identity, float]] = OrderedDict()

    def of(self, token: str) -> Identity:
        """Who holds ``token``.

        Raises:
            SignedOut: nobody.
            ApiAway: nobody can say, and nobody said so before.
        """
        now_s = self._clock_s()
        with self._lock:
            identity, at_s = self._known.get(token, (None, 0.0))
        if identity is not None and now_s - at_s < _FRESH_S:
            return identity
        try:
            said = self._client.get("/token", token)
        except ApiAway:
            if identity is not None and now_s - at_s < _STALE_S:
                return identity
            raise
        except SignedOut:
            self.forget(token)
            raise
        identity = Identity(said["user"], said["role"], said["scope"], token)
        with self._lock:
            self._known[token] = (identity, now_s)
            self._known.move_to_end(token)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return identity

    def forget(self, token: str) -> None:
        """Ask anew the next time."""
        with self._lock:
            self._known.pop(token, None)
