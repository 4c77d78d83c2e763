"""What a command is: a name, a typed argument model and a handler; and what handlers get to work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config_commands import CommandSettings
    from agent.scheduler import Scheduler

A = TypeVar("A", bound=msgspec.Struct)


class RefusedError(Exception):
    """Not done, and nothing was changed: wrong arguments, or not allowed. The text is for the operator."""


class FailedError(Exception):
    """Tried, and it did not work. The text is for the operator; ``code`` is a program's exit code."""

    def __init__(self, text: str, *, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class NoArgs(msgspec.Struct, forbid_unknown_fields=True):
    """For commands without arguments."""


class Running:
    """Commands that run now, by id, and how to end each."""

    def __init__(self) -> None:
        self._stops: dict[str, Callable[[], None]] = {}

    @contextmanager
    def holding(self, request_id: str, stop: Callable[[], None]) -> Iterator[None]:
        """While the body runs, ``stop`` ends it."""
        self._stops[request_id] = stop
        try:
            yield
        finally:
            del self._stops[request_id]

    def cancel(self, request_id: str) -> bool:
        """End one, which is then answered as failed; whether there was one."""
        stop = self._stops.get(request_id)
        if stop is not None:
            stop()
        return stop is not None

    @property
    def ids(self) -> list[str]:
        return sorted(self._stops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What commands may act on."""

    scheduler: Scheduler
    settings: CommandSettings
    #: Gives the inventory and the catalogue, as the birth message has them.
    info: Callable[[], dict[str, Any]]
    #: Monotonic, when the agent started.
    started_s: float
    running: Running = field(default_factory=Running)


@dataclass(frozen=True, slots=True)
class Request:
    """One command that is being run."""

    id: str
    #: Sends ``(stream, data)`` as a reply of state ``output``; slow when the way out is.
    output: Callable[[str, str], Awaitable[None]]
    #: Goes into the result whatever the end is: what was done when a time limit cut it short.
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command was done."""

    result: dict[str, Any] = field(default_factory=dict)
    #: A program's exit code.
    code: int | None = None


#: Raises RefusedError and FailedError; anything else is a bug and answered as ``failed``.
Handler = Callable[[Host, Request, A], Coroutine[Any, Any, Answer]]


def convert(args: dict[str, Any], model: type[A]) -> A:
    """Arguments as ``model``; text is taken for numbers and booleans, since command lines know nothing else.

    Raises:
        RefusedError: they do not fit; the text says where.
    """
    try:
        return msgspec.convert(args, model, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(f"arguments: {error}") from error


def own_schema(model: type[msgspec.Struct], _settings: CommandSettings) -> dict[str, Any]:
    """JSON schema of ``model`` in itself, without names and references."""
    schema = msgspec.json.schema(model)
    inlined: dict[str, Any] = dict(schema["$defs"][model.__name__]) if "$defs" in schema else dict(schema)
    inlined.pop("title", None)
    inlined.pop("description", None)
    if not inlined.get("required"):
        inlined.pop("required", None)
    return inlined


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[A]):
    """One entry of the catalogue."""

    name: str
    #: What it does, a line for people.
    help: str
    model: type[A]
    run: Handler[A]
    #: Whether it changes anything: only then must it not run twice at any price.
    changes: bool = False
    #: Runs beside the others however many there are.
    always: bool = False
    read: Callable[[dict[str, Any], type[A]], A] = convert
    schema: Callable[[type[A], CommandSettings], dict[str, Any]] = own_schema
    #: Arguments as patterns of the policy see them.
    shown: Callable[[A], dict[str, Any]] = msgspec.structs.asdict
