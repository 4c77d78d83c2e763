"""What can go wrong between the dashboard and the API, in words for the person before the screen."""

from __future__ import annotations


class DashboardError(Exception):
    """Root of the dashboard's errors.

    DashboardError
    ├── ApiAway      nothing answers: said on the page, tried again by itself
    ├── SignedOut    the token is not valid any more: log in again
    └── Refused      the API said no, and why
    """


class ApiAway(DashboardError):  # noqa: N818  the name says what is the case
    """The API gives no answer."""


class SignedOut(DashboardError):  # noqa: N818
    """The API does not know the token (any more)."""


class Refused(DashboardError):  # noqa: N818
    """The API answered with a problem document."""

    def __init__(self, message: str, status: int, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        #: E.g. ``no-node``; empty where the API names none.
        self.kind = kind
