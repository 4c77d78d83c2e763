"""What a page knows while it is drawn: who looks at it, the client, and how often live parts are drawn anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard.client import Client
from dashboard.errors import SignedOut
from dashboard.identity import COOKIE, Identities, Identity
from dashboard.names import API_URL, CA_FILE, REFRESH

#: Whether the viewer stopped the live parts; a key of the session's state.
PAUSED: Final = "paused"


@st.cache_resource
def client() -> Client:
    """The one client of this process."""
    ca_file = os.environ.get(CA_FILE)
    return Client(os.environ.get(API_URL, "http://127.0.0.1:8080"), Path(ca_file) if ca_file else None)


@st.cache_resource
def _identities() -> Identities:
    return Identities(client())


def viewer() -> Identity:
    """Who looks at the page.

    Raises:
        SignedOut: the session has ended.
        ApiAway: nobody can say.
    """
    token = st.context.cookies.get(COOKIE)
    if not token:
        raise SignedOut("You are signed out.")
    return _identities().of(token)


def refresh_s() -> float:
    """Seconds between two drawings of what is live."""
    return float(os.environ.get(REFRESH, "2"))


def run_every() -> float | None:
    """For ``st.fragment``: the refresh period, or None while the viewer has paused."""
    return None if st.session_state.get(PAUSED, False) else refresh_s()
