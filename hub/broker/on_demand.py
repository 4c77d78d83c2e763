"""Accounts of nodes for the API: a connection as ``admin`` for each request, so that none idles with such rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.broker.accounts import Accounts
from hub.broker.credentials import for_admin

if TYPE_CHECKING:
    from hub.broker.accounts import Credentials
    from hub.config import Settings
    from hub.paths import StatePaths


class AccountsOnDemand:
    """The calls of :class:`hub.broker.accounts.Accounts`, each with a connection of its own; errors are the same."""

    def __init__(self, settings: Settings, paths: StatePaths) -> None:
        self._settings = settings
        self._paths = paths

    async def add_node(self, node: str) -> Credentials:
        return await self._accounts().add_node(node)

    async def remove_node(self, node: str) -> None:
        await self._accounts().remove_node(node)

    async def rotate(self, node: str) -> Credentials:
        return await self._accounts().rotate(node)

    def _accounts(self) -> Accounts:
        return Accounts(for_admin(self._settings, self._paths))
