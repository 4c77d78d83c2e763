"""``[agent.commands]``: what operators may make this node do; the node's own settings decide, nobody else's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from agent.policy import HARMLESS, Policy
from wire.settings import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ARGUMENT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_JOURNAL: Final = re.compile(r"journal(?::[A-Za-z0-9@._:\\-]+)?")

#: Seconds; written as ``30s``, ``5m``.
Seconds = Annotated[float, BeforeValidator(parse_duration), Field(ge=1, le=86_400)]


def _check_names(table: Mapping[str, object]) -> Mapping[str, object]:
    for name in table:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name: a lower-case letter, then lower-case letters, digits, - and _")
    return table


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShellSettings(_Section):
    """``[agent.commands.shell.NAME]``: one command line that ``shell name=NAME`` runs."""

    #: The program and its arguments, ``{x}`` standing for the argument x; or one text, with ``script``.
    run: tuple[str, ...] = Field(min_length=1)
    #: By argument: the regular expression that the whole value must match. Those that ``run`` names must be here.
    args: dict[str, str] = {}
    #: Run the one text of ``run`` by ``/bin/sh -c``; arguments are variables there, and no part of its text.
    script: bool = False
    #: Account to run it as; needs an agent that runs as root.
    user: str | None = None
    folder: str = "/"

    @field_validator("args")
    @classmethod
    def _args_are_patterns(cls, args: dict[str, str]) -> dict[str, str]:
        for name, pattern in args.items():
            if _ARGUMENT.fullmatch(name) is None or name == "name":
                raise ValueError(f"{name!r} is no name of an argument: lower-case letters, digits and _; not 'name'")
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{name} = {pattern!r} is no regular expression: {error}") from error
        return args

    @model_validator(mode="after")
    def _arguments_are_there(self) -> Self:
        named = {name for part in self.run for name in PLACEHOLDER.findall(part)}
        if self.script:
            if len(self.run) != 1:
                raise ValueError("a script is one text in run; give a list of arguments without script")
            return self
        if unknown := named - self.args.keys():
            raise ValueError(f"run names {', '.join(sorted(unknown))}, which args has no pattern for")
        if unused := self.args.keys() - named:
            raise ValueError(f"args has {', '.join(sorted(unused))}, which run does not name")
        return self


class FilesSettings(_Section):
    """``[agent.commands.files]``: what ``files`` may show."""

    #: Absolute paths; only what lies below one of them can be listed and fetched.
    folders: tuple[str, ...] = ()
    #: Of one fetch; the next goes on from there.
    max_bytes: int = Field(default=16 << 20, ge=1 << 10, le=1 << 30)

    @field_validator("folders")
    @classmethod
    def _folders_are_absolute(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            if not folder.startswith("/") or ".." in folder.split("/"):
                raise ValueError(f"{folder!r} must be an absolute path without ..")
        return folders


def _check_sources(sources: dict[str, str]) -> dict[str, str]:
    _check_names(sources)
    for name, source in sources.items():
        if not source.startswith("/") and _JOURNAL.fullmatch(source) is None:
            raise ValueError(f"{name} = {source!r}: an absolute path, 'journal' or 'journal:UNIT'")
    return sources


class CommandSettings(_Section):
    """``[agent.commands]``: what is allowed, and how much of it."""

    #: See ``agent/policy.py``; what is not in it is refused.
    allow: tuple[str, ...] = HARMLESS
    #: By operator: ``ed25519:…``, or the path of a file that holds it. With any, nothing runs unsigned.
    operators: dict[str, str] = {}
    #: Commands that run at the same time; more are refused.
    at_once: int = Field(default=10, ge=1, le=1000)
    #: How long one may run that does not say so itself, and the most that it may say.
    timeout: Seconds = 30.0
    longest: Seconds = 3600.0
    #: Of one command; what is beyond is dropped, and the result says how much.
    max_output_bytes: int = Field(default=1 << 20, ge=1 << 10, le=1 << 30)
    #: How long ids of commands without ``expires`` are remembered, so that none runs twice.
    remember: Annotated[float, BeforeValidator(parse_duration), Field(ge=60, le=31_536_000)] = 604_800.0
    #: By name: an absolute path, ``journal``, or ``journal:UNIT``.
    logs: Annotated[dict[str, str], AfterValidator(_check_sources)] = {"journal": "journal"}
    files: FilesSettings = FilesSettings()
    shell: Annotated[dict[str, ShellSettings], AfterValidator(_check_names)] = {}

    @field_validator("allow")
    @classmethod
    def _rules_can_be_read(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        Policy(allow)
        return allow
