"""Tables of what users may see and of what is known of their tokens. Times are ns since the epoch, UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, UniqueConstraint, select

from hub.nodes.tables import METADATA, NODE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Select

_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER numbers itself there

#: Users who see the nodes of these groups only; a user without a row sees all nodes.
ACCESS: Final = Table(
    "user_access",
    METADATA,
    Column("user", ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("groups", JSON, nullable=False),
)

#: What is told of a token; those that were made by earlier versions have no row.
TOKEN_FACTS: Final = Table(
    "token_facts",
    METADATA,
    #: Never used again, so that nobody ends another token than the one that was shown.
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("sha256", ForeignKey("tokens.sha256", ondelete="CASCADE"), nullable=False, unique=True),
    #: Made by a login; else by somebody who asked for a token.
    Column("session", Boolean, nullable=False),
    #: What it is for, in the words of its maker.
    Column("name", String(64), nullable=False),
    #: Where the login came from.
    Column("address", String(64), nullable=False),
    sqlite_autoincrement=True,
)

#: Users whom an OpenID Connect issuer vouches for; they have no password.
OIDC_USERS: Final = Table(
    "oidc_users",
    METADATA,
    Column("user", ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("issuer", String(400), nullable=False),
    #: What the issuer never gives to another person; names may change hands.
    Column("subject", String(255), nullable=False),
    UniqueConstraint("issuer", "subject"),
)


def nodes_in(groups: Collection[str]) -> Select[str]:
    """The nodes that are in any of these groups."""
    return select(NODE_GROUPS.c.node).where(NODE_GROUPS.c.name.in_(groups))
