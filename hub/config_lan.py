"""``[broker.lan]``: the one setting that opens the hub to the network, and what goes with it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wire.settings import Duration, Host

_DAY_S = 86_400.0


class LanSettings(BaseModel):
    """Listeners for other machines: TLS only, accounts only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The managed broker listens on the network, and machines may join. Refused without certificates.
    enabled: bool = False
    #: Address to listen on; 0.0.0.0 is all of this machine's, :: those of IPv6 too.
    host: Host = "0.0.0.0"  # noqa: S104  only where ``enabled``, and only with TLS
    #: MQTT over TLS: user name and password inside it.
    port: int = Field(default=8883, ge=1, le=65_535)
    #: MQTT over TLS with a client certificate in place of the password; 0 = none.
    certificate_port: int = Field(default=0, ge=0, le=65_535)
    #: HTTPS for ``iothub join``; 0 = none.
    join_port: int = Field(default=8885, ge=0, le=65_535)
    #: Names and addresses by which other machines reach this one; the first stands in join lines.
    names: tuple[str, ...] = ()
    #: Connections to each listener, so that one who holds many open cannot take all of the broker's.
    max_connections: int = Field(default=2000, ge=1)
    #: Of certificates that ``iothub tls`` issues.
    certificate_lifetime: Annotated[Duration, Field(gt=0)] = 397 * _DAY_S
    #: A certificate that ends sooner is warned of.
    expiry_warning: Annotated[Duration, Field(gt=0)] = 14 * _DAY_S

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [port for port in (self.port, self.certificate_port, self.join_port) if port]
        if len(set(ports)) != len(ports):
            raise ValueError("port, certificate_port and join_port must differ")
        return self
