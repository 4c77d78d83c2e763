"""``iothub doctor``: whether the channels of notifications take messages. None is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.api.schemas import Page
from hub.api.schemas_notify import NotifyChannel
from hub.cli.base import CliError
from hub.cli.finding import FAILED, OK, Finding
from hub.cli.output import ago

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.cli.client import Api


def examine_channels(api: Api) -> Iterator[Finding]:
    """One finding for each channel of the running hub; one that says so where there is none."""
    try:
        channels = api.get("/notify/channels", Page[NotifyChannel]).items
    except CliError as error:
        yield Finding("notify", FAILED, str(error))
        return
    if not channels:
        yield Finding("notify", OK, "no [[notify.channels]]: nobody is told of alerts")
    for each in channels:
        yield _finding(each)


def _finding(channel: NotifyChannel) -> Finding:
    name, counts = f"notify {channel.name}", f"{channel.sent} sent, {channel.waiting} waiting"
    if not channel.service:
        return Finding(name, FAILED, "its address cannot be read or understood; `iothub check` says why")
    if channel.failing_since is not None:
        text = (
            f"{channel.service} takes nothing (first failure {ago(channel.failing_since)}), {counts}: {channel.error}"
        )
        return Finding(name, FAILED, f"{text}; try it: iothub notify test {channel.name}")
    tried = "" if channel.sent else f"; not used since the start, try it: iothub notify test {channel.name}"
    return Finding(name, OK, f"{channel.service}, {counts}{tried}")
