"""``iothub rejects`` over the real API: what came from outside is shown, and steers nothing."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from hub.cli.rejectview import hex_lines
from hub.rejects import Reject, ReplayOutcome
from tests.support.api import running_api
from tests.support.commands import Commands
from wire.errors import Reason

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000
#: Clears the screen, renames the window, ends a line, hides what follows; then bytes that are no UTF-8.
HOSTILE = b"\x1b[2J\x1b]0;owned\x07\r\n\x00\xe2\x80\xae" + b"\xff\xfe"


def reject(payload: bytes = b"{oh", **changes: Any) -> Reject:
    given: dict[str, Any] = {
        "topic": "iot/v1/dev/telemetry/room",
        "arrival_ns": 1_763_750_000 * S,
        "reason": Reason.NOT_JSON,
        "detail": "starts with '{oh'",
        "node": "dev",
        "retain": False,
        "partial": False,
    }
    return Reject(payload=payload, **(given | changes))


async def store_good_ones(message: Reject) -> ReplayOutcome:
    return ReplayOutcome() if message.payload == b"good" else ReplayOutcome(Reason.TOO_OLD, "older than \x1b[1m30 d")


def is_plain(text: str) -> bool:
    """Nothing in it but lines that a terminal shows as they are."""
    return all(line.isprintable() for line in text.split("\n"))


def test_hostile_bytes_topics_and_details_are_shown_escaped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            hostile = HOSTILE[:-2].decode()
            await api.rejects.keep([reject(HOSTILE, topic=hostile, detail=hostile, node=hostile), reject(HOSTILE[:-2])])
            commands = Commands(tmp_path, api)
            for words in (("rejects",), ("rejects", "show", "1"), ("rejects", "show", "2")):
                said = await commands(*words)
                assert (said.code, is_plain(said.out)) == (0, True), said
                assert "\\x1b[2J\\x1b]0;owned\\x07\\r\\n\\x00" in said.out
                assert "\\u202e" in said.out

    asyncio.run(scenario())


def test_bytes_that_are_no_text_are_shown_as_hexadecimal_and_written_raw_when_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep([reject(HOSTILE)])
            commands = Commands(tmp_path, api)
            shown = (await commands("rejects", "show", "1")).out
            assert "000000  1b 5b 32 4a 1b 5d 30 3b 6f 77 6e 65 64 07 0d 0a  .[2J.]0;owned..." in shown
            raw = (await commands("rejects", "show", "1", "--raw")).out
            assert raw.encode("utf-8", "surrogateescape") == HOSTILE

    asyncio.run(scenario())


def test_hexadecimal_lines_are_aligned_up_to_the_last() -> None:
    lines = hex_lines(bytes(range(0x41, 0x53))).split("\n")
    assert lines == [
        "000000  41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50  ABCDEFGHIJKLMNOP",
        "000010  51 52                                            QR",
    ]


def test_the_list_shows_those_that_are_kept_filtered_as_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep(
                [reject(), reject(node="dev2", partial=True), reject(reason=Reason.TOO_OLD, topic="other/x"), reject()]
            )
            await api.rejects.drop([4])
            commands = Commands(tmp_path, api)

            async def ids(*words: str) -> list[int]:
                return [row["id"] for row in json.loads((await commands("rejects", "list", "--json", *words)).out)]

            assert await ids() == [3, 2, 1]
            assert await ids("--only", "all") == [4, 3, 2, 1]
            assert await ids("--only", "dropped") == [4]
            assert await ids("--node", "dev2") == [2]
            assert await ids("--reason", "too-old") == [3]
            assert await ids("--topic", "iot/*") == [2, 1]
            assert await ids("--limit", "1") == [3]
            assert await ids("--last", "1h") == []
            text = (await commands("rejects")).out
            assert "not-json (part)" in text
            assert text.endswith("3 kept; 0 replayed, 1 dropped; 0% of the space is used\n")

    asyncio.run(scenario())


def test_nothing_refused_is_said_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            said = await Commands(tmp_path, api)("rejects")
            assert said.out == "0 kept; 0 replayed, 0 dropped; 0% of the space is used\n"

    asyncio.run(scenario())


def test_a_replay_says_what_was_stored_and_why_the_rest_was_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, replay=store_good_ones) as api:
            await api.rejects.keep([reject(b"good"), reject(), reject(b"good", node="dev2")])
            commands = Commands(tmp_path, api)
            one = await commands("rejects", "replay", "--node", "dev2")
            assert (one.code, one.out) == (0, "Replayed 1 reject.\n")
            rest = await commands("rejects", "replay", "--all")
            assert rest.code == 1
            assert rest.out.startswith("Replayed 1 reject.\nRefused again: 1 reject.\n")
            assert "older than \\x1b[1m30 d" in rest.out
            gone = await commands("rejects", "replay", "17")
            assert (gone.code, gone.out) == (1, "Replayed 0 rejects.\nNot there any more, or dropped: 1 reject.\n")
            as_json = await commands("rejects", "replay", "1", "2", "--json")
            assert json.loads(as_json.out) == {"replayed": [1], "refused": [2], "gone": []}

    asyncio.run(scenario())


def test_dropping_asks_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep([reject(), reject()])
            commands = Commands(tmp_path, api)
            refused = await commands("rejects", "drop", "--all", answer="n\n")
            assert (refused.code, refused.err) == (1, "iothub: nothing was dropped\n")
            assert api.rejects.stats().kept == 2
            assert "Dropped 2 rejects." in (await commands("rejects", "drop", "--all", answer="y\n")).out
            assert (await commands("rejects", "drop", "--reason", "not-json", "--yes")).out == "No such rejects.\n"
            assert "Its bytes were dropped." in (await commands("rejects", "show", "1")).out

    asyncio.run(scenario())


def test_what_is_not_chosen_is_not_touched(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, replay=store_good_ones) as api:
            await api.rejects.keep([reject()])
            commands = Commands(tmp_path, api)
            for command in ("replay", "drop"):
                for words in ("", "1 --all", "1 --node dev", "--all --reason not-json"):
                    said = await commands("rejects", command, *words.split())
                    assert said.code == 2, words
                    assert len(said.err.splitlines()) == 1
            for words in ("list --only lost", "list --last x", "show x", "show"):
                assert (await commands("rejects", *words.split())).code == 2, words
            assert (await commands("rejects", "show", "9")).code == 1
            assert api.rejects.stats().kept == 1

    asyncio.run(scenario())
