"""Whether a command that arrived is run at all; everything that is decided before anything is done.

retained? ─▶ readable? ─▶ known? ─▶ signed? ─▶ expired? ─▶ arguments ─▶ allowed? ─▶ Order
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.commands.base import RefusedError
from agent.policy import Policy
from wire.errors import PayloadError
from wire.messages import ReplyState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import msgspec

    from agent.commands.base import Command
    from agent.config_commands import CommandSettings
    from agent.operators import Check
    from wire.messages import Command as Asked
    from wire.session import ReceivedCommand

_LONGEST_ID: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command that may run."""

    command: Command[Any]
    asked: Asked
    args: msgspec.Struct
    limit_s: float
    #: Who signed it.
    operator: str | None

    @property
    def nonce(self) -> str | None:
        """Unique for all time where it is signed."""
        return None if self.operator is None else f"{self.operator} {self.asked.nonce}"


class Turned(Exception):  # noqa: N818  not an error of ours
    """A command that is not run: the state and the text of the only reply."""

    def __init__(self, why: str, state: ReplyState = ReplyState.REFUSED) -> None:
        super().__init__(why)
        self.state = state


class Admission:
    """The rules of one node.

    Args:
        check: who must have signed a command.
        clock_ms: Unix time.
    """

    def __init__(
        self,
        commands: Mapping[str, Command[Any]],
        settings: CommandSettings,
        check: Check,
        clock_ms: Callable[[], int],
    ) -> None:
        self._commands = commands
        self._settings = settings
        self._policy = Policy(settings.allow)
        self._check = check
        self._clock_ms = clock_ms

    def admit(self, received: ReceivedCommand) -> Order:
        """The order that a request makes.

        Raises:
            Turned: it is refused or has expired.
        """
        asked, name, now_ms = received.body, received.name, self._clock_ms()
        if received.retained:
            raise Turned("commands must not be retained: this one would come again at every connection")
        if isinstance(asked, PayloadError):
            raise Turned(f"{asked.reason}: {asked.detail}")
        if name not in self._commands:
            raise Turned(f"unknown command {name!r}; this node knows {', '.join(sorted(self._commands))}")
        if asked.id is not None and len(asked.id) > _LONGEST_ID:
            raise Turned(f"id: at most {_LONGEST_ID} characters are allowed")
        operator, why = self._check(name, asked, now_ms)
        if why is not None:
            raise Turned(why)
        if asked.expires is not None and asked.expires <= now_ms:
            late_s = (now_ms - asked.expires) / 1000
            raise Turned(f"expired {late_s:.1f} s before it was read, by this node's clock", ReplyState.EXPIRED)
        command = self._commands[name]
        args = self._args(command, asked)
        return Order(command=command, asked=asked, args=args, limit_s=self._limit_s(asked), operator=operator)

    def _args(self, command: Command[Any], asked: Asked) -> msgspec.Struct:
        """Arguments as the command's model, and allowed."""
        # What is not allowed with any arguments is told first: it tells more than what is wrong with them.
        if not self._policy.rules(command.name) and (why := self._policy.refusal(command.name, {})):
            raise Turned(why)
        try:
            args: msgspec.Struct = command.read(asked.args, command.model)
        except RefusedError as refusal:
            raise Turned(str(refusal)) from refusal
        if why := self._policy.refusal(command.name, command.shown(args)):
            raise Turned(why)
        return args

    def _limit_s(self, asked: Asked) -> float:
        longest_s = self._settings.longest
        if asked.timeout is None:
            return min(self._settings.timeout, longest_s)
        if not 0 < asked.timeout <= longest_s:
            raise Turned(f"timeout = {asked.timeout:g}: more than 0 and at most {longest_s:g} s are allowed")
        return asked.timeout
