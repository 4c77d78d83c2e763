"""Names that server and script share: how the script learns what the server was told."""

from __future__ import annotations

from typing import Final

API_URL: Final = "IOTHUB_DASHBOARD_API_URL"
CA_FILE: Final = "IOTHUB_DASHBOARD_CA_FILE"
REFRESH: Final = "IOTHUB_DASHBOARD_REFRESH"
#: What is printed once the dashboard answers, before its address.
READY: Final = "dashboard ready "
