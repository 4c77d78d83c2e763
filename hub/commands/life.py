"""The life of a command: what a step makes of it, and what is said about it. Pure; times and rows are given.

    sending ──PUBACK──▶ sent ──accepted──▶ accepted ──output*──▶ done, failed, timeout
       │                 │ └──────────────────────────────────▶ refused, expired       the node's word: stays
       └─ refused: unsent└─ time passed: expired      └─ time passed: unanswered       the hub's: a reply corrects it

A reply counts for the node on whose topic it came, never for the one that its body might name. Replies are numbered by
the node: one that is not newer than the newest came before, and changes nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.commands.model import Chunk, Command, Entry, Origin, Progress, State, Who
from wire.messages import ReplyState
from wire.point import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from hub.commands.model import Answer, Seen

#: What a clock may be off, and a message under way.
GRACE_NS: Final = 5 * NS_PER_S
#: A command that names no time may run so long on a node before the hub calls it unanswered.
LONGEST_NS: Final = 3600 * NS_PER_S
#: The journal's words for what should not happen; see :class:`hub.commands.oddities.Oddities`.
ODD: Final = frozenset({"stray", "repeated", "ignored"})
#: When what never ends is due: the last moment that a database holds.
_NEVER_NS: Final = 2**63 - 1
#: Begins the ids that the hub makes up for requests without one.
NAMELESS: Final = "~"
_NOBODY: Final = Who()


class Step(msgspec.Struct):
    """What one event leads to."""

    entry: Entry | None = None
    progress: Progress | None = None
    chunk: Chunk | None = None


def asked(command: Command, digest: str) -> Entry:
    """The journal's row for a command that the hub is about to send."""
    return _entry(command, "request", command.requested_ns, **_request(command, digest))


def seen(found: Command | None, request: Seen) -> tuple[Command | None, Step]:
    """A request on the broker: a new command, or None and what is said of one that is known.

    Args:
        found: the newest command of that node and id.
        request: with an id.
    """
    if found is not None and found.origin is not Origin.REPLY and (request.again or not _ended_by_node(found)):
        if request.again or request.retained:
            return None, Step()  # delivered again after a break: nobody sent it twice
        found.repeats += 1
        facts = {"who": msgspec.to_builtins(request.who), "sha256": request.digest, "state": found.state}
        return None, Step(_entry(found, "repeated", request.at_ns, **facts))
    command = Command(
        node=request.node,
        id=request.id or "",
        command=request.command,
        origin=Origin.MQTT,
        who=request.who,
        requested_ns=request.at_ns,
        args=request.args,
        timeout_s=request.timeout_s,
        expires_ms=request.expires_ms,
        retained=request.retained,
        sent_ns=request.at_ns,
        response_topic=request.response_topic,
        again=found is not None and found.origin is not Origin.REPLY,
    )
    if command.id.startswith(NAMELESS):
        command.state, command.ended_ns = State.UNANSWERED, request.at_ns
        command.error = "it named no id: replies to it cannot be told from others"
    entry = _entry(command, "request", request.at_ns, **_request(command, request.digest))
    return command, Step(entry, _progress(command, request.at_ns))


def confirmed(command: Command, at_ns: int, refusal: str | None) -> Step:
    """The broker took it, or refused it for good."""
    if command.sent_ns is not None or command.state.final:
        return Step()
    if refusal is not None:
        command.state, command.ended_ns, command.error, command.payload = State.UNSENT, at_ns, refusal, ""
        return Step(_entry(command, "unsent", at_ns, why=refusal), _progress(command, at_ns))
    command.sent_ns = at_ns
    if command.state is not State.SENDING:
        return Step()  # the node was faster than the acknowledgement
    command.state = State.SENT
    return Step(_entry(command, "sent", at_ns), _progress(command, at_ns))


def answered(found: Command | None, answer: Answer, keep_bytes: int) -> tuple[Command, Step]:
    """A reply: the command after it, and what is said. ``keep_bytes``: output that is kept of one command."""
    if found is None:
        command = Command(
            node=answer.node,
            id=answer.id,
            command="",
            origin=Origin.REPLY,
            who=_NOBODY,
            requested_ns=answer.at_ns,
            state=State.ACCEPTED,
        )
        step = _advance(command, answer, keep_bytes)
        entry = _entry(command, "stray", answer.at_ns, state=answer.state, n=answer.n)
        return command, Step(entry, step.progress, step.chunk)
    if answer.duplicate and not found.again:
        # The node had it before the hub sent it again, to be sure: what became of it is still to come, or is known.
        found.error = found.error or "the node says that it had this command before"
        return found, Step()
    if answer.n <= found.last_n:
        return found, Step()
    if _ended_by_node(found):
        found.last_n = answer.n
        facts = {"state": answer.state, "n": answer.n, "was": found.state, "why": "a final state came before"}
        return found, Step(_entry(found, "ignored", answer.at_ns, **facts))
    step = _advance(found, answer, keep_bytes)
    if found.origin is Origin.REPLY and step.entry is not None:  # as odd as the first, and as many may come
        step.entry = msgspec.structs.replace(
            step.entry, kind="stray", facts={"was": step.entry.kind} | step.entry.facts
        )
    return found, step


def overdue(command: Command, at_ns: int) -> Step:
    """Its time has passed, and the node said nothing final."""
    begun = command.accepted_ns is not None or command.last_n >= 0 or command.error is not None
    command.state = State.UNANSWERED if begun else State.EXPIRED
    command.ended_ns, command.payload = at_ns, ""
    command.error = (
        "begun, and nothing final came in its time" if begun else "nothing came from the node before it expired"
    )
    return Step(_entry(command, "outcome", at_ns, **_outcome(command)), _progress(command, at_ns))


def due_ns(command: Command) -> int | None:
    """When it is :func:`overdue` if nothing comes; None: final, or it never expires."""
    if command.state.final:
        return None
    if command.accepted_ns is not None:
        runs_ns = LONGEST_NS if command.timeout_s is None else int(min(command.timeout_s * NS_PER_S, _NEVER_NS))
        return min(command.accepted_ns + runs_ns + GRACE_NS, _NEVER_NS)
    return min(command.expires_ms * NS_PER_MS + GRACE_NS, _NEVER_NS) if command.expires_ms is not None else None


def output_digest(before: str, chunk: Chunk) -> str:
    """Digest of all output up to ``chunk``: SHA-256(digest before LF n LF stream LF data)."""
    text = f"{before}\n{chunk.n}\n{chunk.stream}\n{chunk.data}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# -- private -----------------------------------------------------------------------------------------------------------


def _advance(command: Command, answer: Answer, keep_bytes: int) -> Step:
    command.last_n = answer.n
    if command.state.final and not answer.state.final:
        # The hub had given up on it too soon.
        command.state, command.ended_ns, command.error = State.ACCEPTED, None, None
    if command.accepted_ns is None and answer.state in (ReplyState.ACCEPTED, ReplyState.OUTPUT):
        command.accepted_ns = answer.at_ns
    if not answer.state.final:
        command.state = State.ACCEPTED
    if answer.state is ReplyState.ACCEPTED:
        return Step(_entry(command, "accepted", answer.at_ns), _progress(command, answer.at_ns, n=answer.n))
    if answer.state is ReplyState.OUTPUT:
        return _output(command, answer, keep_bytes)
    command.state, command.by_node, command.payload = State(answer.state.value), True, ""
    command.ended_ns, command.code, command.result, command.error = (
        answer.at_ns,
        answer.code,
        answer.result,
        answer.error,
    )
    progress = _progress(command, answer.at_ns, n=answer.n)
    return Step(_entry(command, "outcome", answer.at_ns, **_outcome(command)), progress)


def _output(command: Command, answer: Answer, keep_bytes: int) -> Step:
    chunk = Chunk(answer.n, answer.at_ns, answer.stream, answer.data)
    size = len(answer.data.encode("utf-8", "surrogatepass"))
    command.output_digest = output_digest(command.output_digest, chunk)
    command.chunks += 1
    command.output_bytes += size
    progress = _progress(command, answer.at_ns, n=answer.n, stream=answer.stream, data=answer.data)
    # Kept from the start without a hole: what was left out is the end.
    if command.output_bytes - size != command.kept_bytes or command.output_bytes > keep_bytes:
        return Step(None, progress)
    command.kept_bytes += size
    return Step(None, progress, chunk)


def _ended_by_node(command: Command) -> bool:
    return command.state.final and command.by_node


def _request(command: Command, digest: str) -> dict[str, Any]:
    return {
        "command": command.command,
        "origin": command.origin,
        "who": msgspec.to_builtins(command.who),
        "args": command.args,
        "timeout_s": command.timeout_s,
        "expires_ms": command.expires_ms,
        "sha256": digest,
        **({"run": command.run} if command.run is not None else {}),
        **({"retained": True} if command.retained else {}),
    }


def _outcome(command: Command) -> dict[str, Any]:
    return {
        "state": command.state,
        "by": "node" if command.by_node else "hub",
        "code": command.code,
        "error": command.error,
        "result": command.result,
        "output_bytes": command.output_bytes,
        "output_chunks": command.chunks,
        "output_sha256": command.output_digest,
    }


def _entry(command: Command, kind: str, at_ns: int, /, **facts: Any) -> Entry:
    return Entry(at_ns, kind, command.node, command.id, facts)


def _progress(
    command: Command, at_ns: int, *, n: int | None = None, stream: str | None = None, data: str | None = None
) -> Progress:
    return Progress(
        at_ns,
        command.node,
        command.id,
        command.command,
        command.state,
        n=n,
        stream=stream,
        data=data,
        code=command.code,
        error=command.error,
    )
