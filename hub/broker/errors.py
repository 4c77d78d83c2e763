"""Errors of the broker and of its accounts, by what the caller will do.

BrokerError
├── BrokerMissing       stop: Mosquitto or its plugin is not installed; the message says what to install
├── PortTaken           stop: another program listens there; the message says which, and which setting to change
├── LanRefused          stop: the broker may not be opened to the network; the message says what is missing
├── AccountsBroken      stop: the file of accounts cannot be read; a person must restore or remove it
└── AccountError        refuse the request
    ├── AccountExists       there is one of that name already
    ├── NoSuchAccount       there is none of that name
    ├── NameReserved        the name belongs to the hub itself
    ├── NotAuthorised       wrong password or missing rights: the credentials of ``admin`` are needed
    ├── PluginMissing       this broker has no dynamic-security plugin: its accounts are made elsewhere
    └── BrokerSilent        no connection or no answer in time: try again; whether it was done is unknown
"""

from __future__ import annotations


class BrokerError(Exception):
    """Root of this package's errors."""


class BrokerMissing(BrokerError):  # noqa: N818  the names say what happened, the tree above what to do
    """The program or its plugin is not on this machine."""


class PortTaken(BrokerError):  # noqa: N818
    """Another process listens on the broker's port."""

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message)
        self.port = port


class LanRefused(BrokerError):  # noqa: N818
    """Opening the broker to the network takes what is not there."""


class AccountsBroken(BrokerError):  # noqa: N818
    """``dynamic-security.json`` is unreadable or not what the plugin writes."""


class AccountError(BrokerError):
    """A request about accounts that could not be served."""


class AccountExists(AccountError):  # noqa: N818
    """There is an account or role of that name already."""


class NoSuchAccount(AccountError):  # noqa: N818
    """There is no account of that name."""


class NameReserved(AccountError):  # noqa: N818
    """The name belongs to an account of the hub itself."""


class NotAuthorised(AccountError):  # noqa: N818
    """The broker refused the credentials, or they give no right to manage accounts."""


class PluginMissing(AccountError):  # noqa: N818
    """The broker answers no request about accounts: it runs without the dynamic-security plugin."""


class BrokerSilent(AccountError):  # noqa: N818
    """No connection, or no answer in time."""
