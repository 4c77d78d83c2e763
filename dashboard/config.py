"""The dashboard's settings: ``[dashboard]`` of ``iothub.toml``; validated at once, opening nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from wire.settings import Duration, Host, load

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DashboardSettings(_Section):
    """``[dashboard]``: the Streamlit app."""

    #: Whether ``iothub up`` runs it.
    enabled: bool = True
    host: Host = "127.0.0.1"
    #: 0 = a free port.
    port: int = Field(default=8501, ge=0, le=65_535)
    #: Address of the hub's API as the dashboard reaches it.
    api_url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[^/\s]+$")
    #: PEM file of the authorities to trust for ``api_url``; the system's when empty.
    api_ca_file: Path | None = None
    #: File with the secret for which the hub believes this dashboard where people come from who log in; ``iothub up``
    #: sets it. Without it all of them share one limit of failed logins.
    proxy_token_file: Path | None = None
    #: How often live parts of a page are drawn anew, and how long an answer of the API is shared by all viewers.
    refresh: Annotated[Duration, Field(ge=0.5, le=3600)] = 2.0
    #: Cookies for TLS only; turn it on where a proxy with TLS stands before the dashboard.
    secure_cookies: bool = False
    #: Address of the dashboard as browsers see it, where a proxy hides it; a login elsewhere sends them back there.
    public_url: str = Field(default="", pattern=r"^(https?://[^/\s?#]+)?$")


class Settings(_Section):
    """What the dashboard reads of ``iothub.toml``."""

    dashboard: DashboardSettings = DashboardSettings()


def load_settings(path: Path | None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Read and validate.

    Raises:
        SettingsError: with every problem found.
    """
    return load(Settings, path, environ=environ, only={"dashboard"})
