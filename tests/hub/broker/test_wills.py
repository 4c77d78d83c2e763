"""Whether an account may publish its will, by the plugin's file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hub.broker import dynsec
from hub.broker.rights import Account, node_account
from hub.broker.wills import Rights
from wire.topics import Topics

if TYPE_CHECKING:
    from pathlib import Path

TOPICS = Topics("iot/v1")
NODE = node_account("n1", "secret", TOPICS)


def written(file: Path, *accounts: Account) -> Rights:
    file.write_text(dynsec.encode(dynsec.repaired(None, accounts, TOPICS)[0]))
    return Rights(file, "iot/v1")


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("iot/v1/n1/status", True),
        ("iot/v1/n1/telemetry/m", True),
        ("iot/v1/n2/status", False),
        ("iot/v1/n1/cmd/reboot", False),
        ("$CONTROL/dynamic-security/v1", False),
    ],
)
def test_a_node_may_what_its_role_says(tmp_path: Path, topic: str, *, allowed: bool) -> None:
    assert written(tmp_path / "a.json", NODE).may_publish("n1", topic) is allowed


def test_a_change_of_the_file_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    rights = written(file, NODE)
    assert not rights.may_publish("n2", "iot/v1/n2/log")
    written(file, NODE, node_account("n2", "other", TOPICS))
    os.utime(file, ns=(1, 1))
    assert rights.may_publish("n2", "iot/v1/n2/log")


@pytest.mark.parametrize("content", [None, b"{", b"[]"])
def test_nobody_is_accused_where_the_file_says_nothing(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    assert Rights(file, "iot/v1").may_publish("n1", "iot/v1/n2/status")
