"""How commands, fleet runs and rows of the journal look over HTTP, and what their routes share."""

from typing import Final

import msgspec

from hub.api.parts import Parts
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.schemas_commands import AuditRow, Command, CommandRequest, CommandSender, FleetRun
from hub.api.times import iso, iso_or_none
from hub.commanding import Commanding
from hub.commands import model
from hub.commands.fleet import Run
from hub.commands.journal import Row
from hub.commands.model import shown
from hub.nodes.callers import Caller
from hub.nodes.model import Contact
from wire import messages
from wire.errors import TopicError
from wire.point import NS_PER_MS
from wire.topics import check_name

_MS_PER_S: Final = 1000


def commanding_of(parts: Parts) -> Commanding:
    """The part that commands."""
    if parts.commanding is None:
        raise ProblemError(503, "This hub sends no commands.", kind="no-commands")
    return parts.commanding


def no_such_node(node: str) -> ProblemError:
    """Answer 404."""
    return ProblemError(404, f"There is no node {node[:64]!r}; GET nodes lists those that there are.", kind="no-node")


def not_yours(caller: Caller, node: str) -> ProblemError:
    """Answer 403."""
    return ProblemError(
        403, f"{caller.user} may not command node {node[:64]} (role {caller.role}, scope {caller.scope})."
    )


def body_of(wanted: CommandRequest, parts: Parts) -> messages.Command:
    """What travels."""
    if wanted.expires_s is not None and wanted.expires_ms is not None:
        raise wrong_parameter("body.expires_ms", "give this or expires_s, not both")
    now_ms = parts.clock_ns() // NS_PER_MS
    waits_s = wanted.expires_s if wanted.expires_s is not None else parts.settings.commands.expires
    expires_ms = wanted.expires_ms if wanted.expires_ms is not None else now_ms + int(waits_s * _MS_PER_S)
    if expires_ms <= now_ms:
        raise wrong_parameter("body.expires_ms", "lies in the past: nobody would run it")
    if wanted.id is not None:
        try:
            check_name(wanted.id, "id")
        except TopicError as error:
            raise wrong_parameter("body.id", error.detail) from error
    if wanted.signature is not None and (wanted.expires_ms is None or wanted.id is None):
        raise wrong_parameter("body.signature", "covers id and expires_ms: both must be given")
    return messages.Command(
        id=wanted.id,
        args=wanted.args,
        timeout=wanted.timeout_s,
        expires=expires_ms,
        operator=wanted.operator,
        nonce=wanted.nonce,
        signature=wanted.signature,
    )


def command_view(command: model.Command, parts: Parts) -> Command:
    """A command as it is shown: one that waits for a node that is off is never shown as anything else."""
    online = parts.presence.contact(command.node) is Contact.ONLINE
    who = command.who
    return Command(
        id=command.id,
        node=command.node,
        command=command.command,
        state=shown(command.state, online=online).value,
        state_by="node" if command.by_node or command.state is model.State.ACCEPTED else "hub",
        origin=command.origin.value,
        sender=CommandSender(user=who.user, signer=who.signer, verified=who.verified, claimed=who.claimed),
        args=_value(command.args),
        timeout_s=command.timeout_s,
        requested=iso(command.requested_ns),
        expires=_moment(command.expires_ms),
        sent=iso_or_none(command.sent_ns),
        accepted=iso_or_none(command.accepted_ns),
        ended=iso_or_none(command.ended_ns),
        code=command.code,
        result=command.result_value(),
        error=command.error,
        output_chunks=command.chunks,
        output_bytes=command.output_bytes,
        output_whole=command.kept_bytes == command.output_bytes,
        output_sha256=command.output_digest,
        run=command.run,
        retained=command.retained,
        repeats=command.repeats,
    )


def run_view(run: Run, counts: dict[str, int]) -> FleetRun:
    """A fleet run."""
    return FleetRun(
        id=run.id,
        command=run.command,
        user=run.user,
        state=run.state,
        why=run.why,
        nodes=len(run.nodes),
        stage=run.stage,
        stages=run.bounds,
        stop_after_failures=run.stop_after_failures,
        requested=iso(run.requested_ns),
        ended=iso_or_none(run.ended_ns),
        states=counts,
    )


def row_view(row: Row) -> AuditRow:
    """A row of the journal."""
    return AuditRow(**msgspec.structs.asdict(row))


def _value(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _moment(ms: int | None) -> str | None:
    # Whoever wrote it may have meant anything: what is no time of ours is not shown as one.
    return iso(ms * NS_PER_MS) if ms is not None and ms < 2**63 // NS_PER_MS else None
