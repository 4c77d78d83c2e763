"""What is secret in the address of a channel is in no log, error, listing or check."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.alerts.notify_mask import Mask, host_of
from hub.config import Settings
from wire.errors import SettingsError
from wire.settings import load

if TYPE_CHECKING:
    from pathlib import Path

#: Addresses as people have them, each with what must not be seen.
ADDRESSES = {
    "json://hook:pw-secret-1@127.0.0.1:9/hook/tok-secret-2?rto=1&key=par-secret-3": [
        "pw-secret-1",
        "tok-secret-2",
        "par-secret-3",
    ],
    "mailto://ops:pw-secret-4@example.org:9?smtp=127.0.0.1&mode=insecure&from=a@example.org&to=b@example.org": [
        "pw-secret-4"
    ],
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general": ["A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"],
    "nonsense://pw-secret-5:pw-secret-6@/pw-secret-7": ["pw-secret-5", "pw-secret-6", "pw-secret-7"],
}

#: Sends to every channel, with the hub's log at its most talkative, and prints all that anybody is told.
_SCRIPT = """
import asyncio, logging, sys
from hub.alerts.notify_send import AppriseSender, SendFailed, check_channels
from hub.config import LogSettings, Settings
from hub.log import configure
from hub.rules.events import Severity
from pathlib import Path
from wire.errors import SettingsError
from wire.settings import load

configure(LogSettings(level="debug", format="text"))
settings = load(Settings, Path(sys.argv[1]), environ={})
print(repr(settings), str(settings.model_dump()))

async def main():
    for channel in settings.notify.channels:
        sender = AppriseSender(channel, 10)
        print(sender.service)
        try:
            await sender.send("title", "body", Severity.CRITICAL, resolved=False)
        except SendFailed as error:
            logging.getLogger("test").exception("it failed")
            print("FAILED", channel.name, error)

asyncio.run(main())
try:
    check_channels(settings.notify.channels)
except SettingsError as error:
    print(error)
"""


def test_no_secret_is_seen_whatever_goes_wrong(tmp_path: Path) -> None:
    config = tmp_path / "iothub.toml"
    # Slack is far away: it is only listed and checked.
    tables = [
        f'[[notify.channels]]\nname = "c{i}"\nurl = "{url}"\n' for i, url in enumerate(ADDRESSES) if "slack" not in url
    ]
    config.write_text("\n".join(tables))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(config)], capture_output=True, text=True, timeout=60, check=True
    )
    seen = done.stdout + done.stderr
    assert seen.count("FAILED") == 3
    assert "Connection refused" in seen
    assert [secret for secrets in ADDRESSES.values() for secret in secrets if secret in seen] == []


def test_a_wrong_channel_is_told_without_its_address(tmp_path: Path) -> None:
    config = tmp_path / "iothub.toml"
    config.write_text('[[notify.channels]]\nname = "two words"\nurl = "json://hook:pw-secret-1@127.0.0.1"\nulr = "x"\n')
    with pytest.raises(SettingsError) as caught:
        load(Settings, config, environ={})
    assert "notify.channels[0].name" in str(caught.value)
    assert "pw-secret-1" not in str(caught.value)


@pytest.mark.parametrize("url", ADDRESSES)
def test_errors_that_repeat_an_address_are_masked(url: str) -> None:
    text = Mask(url)(f"Max retries exceeded with url: {url} /{url.partition('://')[2]}")
    assert [secret for secret in ADDRESSES[url] if secret in text] == []


def test_where_messages_go_is_shown_where_that_is_no_secret() -> None:
    assert [host_of(url) for url in ADDRESSES] == ["127.0.0.1:9", "127.0.0.1", "", ""]
