"""What the book makes of what is seen on the broker, and what it says after it was closed and opened again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hub.commands.book import Book, verified_file
from hub.commands.life import GRACE_NS
from hub.commands.model import Answer, Command, Origin, Seen, State, Who, shown
from wire.messages import ReplyState
from wire.point import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW_NS = 1_763_750_000 * NS_PER_S


def request(**more: Any) -> Seen:
    wanted: dict[str, Any] = {
        "node": "n1",
        "command": "ping",
        "id": "a",
        "at_ns": NOW_NS,
        "who": Who(),
        "args": "{}",
        "timeout_s": None,
        "expires_ms": None,
        "retained": False,
        "again": False,
        "response_topic": None,
        "digest": "d",
    }
    return Seen(**(wanted | more))


def reply(n: int, state: str, data: str = "", **more: Any) -> Answer:
    wanted: dict[str, Any] = {
        "node": "n1",
        "id": "a",
        "at_ns": NOW_NS + n,
        "n": n,
        "state": ReplyState(state),
        "stream": "stdout",
        "data": data,
        "code": None,
        "result": "",
        "error": None,
    }
    return Answer(**(wanted | more))


def ours(**more: Any) -> Command:
    wanted: dict[str, Any] = {
        "node": "n1",
        "id": "a",
        "command": "ping",
        "origin": Origin.API,
        "who": Who(user="admin"),
        "requested_ns": NOW_NS,
        "payload": "{}",
        "state": State.SENDING,
    }
    return Command(**(wanted | more))


@asynccontextmanager
async def opened(folder: Path, **more: Any) -> AsyncIterator[Book]:
    async with Book(folder / "commands.db", clock_ns=lambda: NOW_NS, **more) as book:
        yield book


async def only(book: Book, node: str = "n1", command_id: str = "a") -> Command:
    return (await book.find(command_id, node))[0]


async def kinds(book: Book) -> list[str]:
    return [row.kind for row in await book.journal(after=1, limit=1000)]


def test_a_command_of_somebody_else_is_recorded_from_request_to_outcome(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            who = Who(claimed="ada")
            await book.observe([request(who=who), reply(0, "accepted"), reply(1, "output", "hello\n")])
            progress = await book.observe([reply(2, "done", code=0, result='{"x":1}')])
            found = await only(book)
            assert (found.state, found.by_node, found.origin, found.who) == (State.DONE, True, Origin.MQTT, who)
            assert (found.code, found.result_value(), found.output_bytes) == (0, {"x": 1}, 6)
            assert [chunk.data for chunk in await book.output(found.number, after=-1, limit=10)] == ["hello\n"]
            assert await kinds(book) == ["request", "accepted", "outcome"]
            assert [step.state for step in progress] == [State.DONE]
            assert found.output_digest in (await book.journal(after=3, limit=1))[0].facts

    asyncio.run(test())


def test_states_and_the_chain_outlive_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.ask([(ours(), "d")])
            head = book.head
        async with opened(tmp_path) as book:
            assert book.head == head
            assert (await only(book)).state is State.SENDING
            await book.confirm({1: None})
            await book.observe([reply(0, "accepted"), reply(1, "done")])
        async with opened(tmp_path) as book:
            assert (await only(book)).state is State.DONE
            assert (await book.run(lambda connection: verified_file(connection, head))).broken_at is None

    asyncio.run(test())


def test_what_is_delivered_again_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            events: list[Seen | Answer] = [request(), reply(0, "accepted"), reply(1, "output", "x"), reply(2, "done")]
            await book.observe(events)
            head, found = book.head, await only(book)
            await book.observe([request(again=True), *events[1:]])
            assert (book.head, await only(book)) == (head, found)

    asyncio.run(test())


def test_a_request_that_somebody_sends_again_is_said_and_is_not_a_second_command(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.observe([request(), reply(0, "accepted"), request(who=Who(claimed="eve"))])
            assert (await only(book)).repeats == 1
            assert (await kinds(book))[-1] == "repeated"

    asyncio.run(test())


def test_an_id_that_comes_after_its_end_is_a_command_of_its_own_which_the_node_refuses(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.observe([request(), reply(0, "accepted"), reply(1, "done")])
            await book.observe([request(), reply(0, "refused", error="came before", duplicate=True)])
            states = [command.state for command in await book.select([("id = ?", "a")], 10)]
            assert states == [State.REFUSED, State.DONE]

    asyncio.run(test())


def test_a_node_that_had_what_is_sent_again_does_not_make_it_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.ask([(ours(), "d")])
            await book.observe([reply(0, "refused", error="came before", duplicate=True)])
            assert not (await only(book)).state.final
            await book.observe([reply(0, "accepted"), reply(1, "done")])
            assert (await only(book)).state is State.DONE

    asyncio.run(test())


def test_a_reply_on_the_topic_of_another_node_changes_nothing_for_this_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.ask([(ours(), "d")])
            before = await only(book)
            await book.observe([reply(0, "done", node="n2", result='{"forged":true}')])
            assert await only(book) == before
            stray = await only(book, "n2")
            assert (stray.origin, stray.command) == (Origin.REPLY, "")
            row = (await book.journal(after=0, limit=100))[-1]
            assert (row.kind, row.node) == ("stray", "n2")
            assert '"asked_of":["n1"]' in row.facts

    asyncio.run(test())


def test_the_first_final_state_stays(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.observe([request(), reply(0, "accepted"), reply(1, "failed", error="no"), reply(2, "done")])
            assert (await only(book)).state is State.FAILED
            assert (await kinds(book))[-1] == "ignored"

    asyncio.run(test())


def test_a_command_that_nothing_came_for_expires_and_a_late_reply_corrects_that(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            expires_ms = NOW_NS // NS_PER_MS + 1000
            await book.ask([(ours(expires_ms=expires_ms), "d")])
            await book.confirm({1: None})
            due_ns = expires_ms * NS_PER_MS + GRACE_NS
            assert await book.expire(due_ns - 1) == []
            assert [step.state for step in await book.expire(due_ns)] == [State.EXPIRED]
            assert await book.expire(due_ns) == []
            assert (await only(book)).by_node is False
            await book.observe([reply(0, "accepted"), reply(1, "done")])
            assert (await only(book)).state is State.DONE

    asyncio.run(test())


def test_a_command_that_was_begun_and_never_ended_is_unanswered(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.observe([request(timeout_s=10), reply(0, "accepted"), reply(1, "output", "x")])
            due_ns = NOW_NS + 10 * NS_PER_S + GRACE_NS
            assert await book.expire(due_ns - 1) == []
            assert [step.state for step in await book.expire(due_ns)] == [State.UNANSWERED]
            await book.observe([reply(2, "done")])
            assert (await only(book)).state is State.DONE

    asyncio.run(test())


def test_what_the_broker_refuses_is_unsent(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.ask([(ours(), "d")])
            await book.confirm({1: "not authorised"})
            found = await only(book)
            assert (found.state, found.error) == (State.UNSENT, "not authorised")

    asyncio.run(test())


def test_a_command_for_a_node_that_is_off_is_shown_as_waiting() -> None:
    assert shown(State.SENT, online=False) is State.WAITING
    assert shown(State.SENT, online=True) is State.SENT
    assert {shown(state, online=False) for state in State if state is not State.SENT} == set(State) - {State.SENT}


def test_output_is_bounded_and_its_digest_covers_all_of_it(tmp_path: Path) -> None:
    async def digest(folder: Path, last: str) -> tuple[str, str]:
        async with opened(folder, keep_bytes=10) as book:
            await book.observe(
                [request(), *(reply(n, "output", "12345") for n in range(1, 5)), reply(5, "output", last)]
            )
            found = await only(book)
            kept = "".join(chunk.data for chunk in await book.output(found.number, after=-1, limit=10))
            assert (found.output_bytes, found.kept_bytes) == (21, 10)
            return found.output_digest, kept

    for name in "12":
        (tmp_path / name).mkdir()

    async def test() -> None:
        one, kept = await digest(tmp_path / "1", "a")
        other, _ = await digest(tmp_path / "2", "b")
        assert kept == "1234512345"
        assert one != other

    asyncio.run(test())


def test_old_commands_and_output_go_and_the_journal_stays(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, keep_total_bytes=0) as book:
            await book.observe([request(), reply(1, "output", "x"), request(id="b"), reply(2, "done")])
            await book.maintain(keep_ns=NS_PER_S)
            assert (await only(book)).kept_bytes == 0
            head = book.head
            await book.maintain(keep_ns=-NS_PER_S)
            assert [command.id for command in await book.select([], 10)] == ["b"]
            assert book.head == head
            assert (await book.run(lambda connection: verified_file(connection, None))).rows == head.number

    asyncio.run(test())


def test_requests_without_an_id_are_told_apart(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            await book.observe([request(id=None), request(id=None, at_ns=NOW_NS + 1)])
            assert len(await book.select([], 10)) == 2

    asyncio.run(test())
