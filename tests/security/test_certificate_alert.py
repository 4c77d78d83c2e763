"""From a certificate that ends soon to the alert that people get, through the real hub, rules and broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
from typing import TYPE_CHECKING

import pytest

from hub.service import run_hub
from hub.tls.certificates import Certificates
from tests.support.device import GRANTED_QOS_1, Device
from tests.support.opened import Opened
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.config import Settings


@pytest.fixture(autouse=True)
def _garbage() -> Iterator[None]:
    """The hub takes the garbage collector into its own hands."""
    yield
    gc.unfreeze()
    gc.enable()


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
            stop, ready = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(run_hub(settings_of(broker), stop=stop, on_ready=lambda _: ready.set()))
            await asyncio.wait({task, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            await eventually(lambda: operator.messages or task.done(), what="the alert")
            stop.set()
            await asyncio.wait_for(task, 60)

        asyncio.run(life())
        alert = json.loads(operator.messages[0].payload)
        assert (alert["state"], alert["severity"]) == ("firing", "warning")
        message = alert["alerts"][0]["message"]
        assert "a certificate ends in 10 days" in message
        assert "iothub tls renew" in message
