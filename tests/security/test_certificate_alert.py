"""From a certificate that ends soon to the alert that people get, through the real hub, rules and broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING

from hub.tls.certificates import Certificates
from tests.support.device import GRANTED_QOS_1, Device
from tests.support.opened import Opened
from tests.support.service import running_hub
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import Settings


def settings_of(broker: Opened) -> Settings:
    tree = broker.settings.model_dump()
    tree |= {"state": broker.paths.root, "hub": {"id": "h1"}, "store": {"kind": "memory"}}
    tree["mqtt"]["port"] = broker.port
    tree["api"]["port"] = 0
    return type(broker.settings).model_validate(tree)


def test_a_certificate_that_ends_in_ten_days_raises_an_alert(tmp_path: Path) -> None:
    with Opened(tmp_path) as broker, Device(broker.operator()) as operator:
        Certificates(broker.certificates.folder, lifetime=dt.timedelta(days=10)).issue("n1")
        assert operator.subscribe("iot/v1/h1/alert/certificate-ends") == GRANTED_QOS_1

        async def life() -> None:
            async with running_hub(settings_of(broker)) as task:
                await eventually(lambda: operator.messages or task.done(), what="the alert")

        asyncio.run(life())
        alert = json.loads(operator.messages[0].payload)
        assert (alert["state"], alert["severity"]) == ("firing", "warning")
        message = alert["alerts"][0]["message"]
        assert "a certificate ends in 10 days" in message
        assert "iothub tls renew" in message
