"""Settings of notifications: ``[notify]``, its channels and its routes. Opens nothing; addresses are secrets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hub.alerts.notify_times import parse_window, parse_zone
from wire.settings import Duration, Secret


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Positive = Annotated[Duration, Field(gt=0)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


def _window(text: str) -> str:
    parse_window(text)
    return text


def _zone(name: str) -> str:
    parse_zone(name)
    return name


class ChannelSettings(_Section):
    """``[[notify.channels]]``: one receiver, by its apprise URL. A file wins over a variable, and that over ``url``."""

    name: _Name
    url: Secret | None = None
    #: File whose only line is the URL.
    url_file: Path | None = None
    #: Environment variable that holds the URL.
    url_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @model_validator(mode="after")
    def _some_place(self) -> ChannelSettings:
        if self.url is None and self.url_file is None and self.url_env is None:
            raise ValueError("needs url, url_file or url_env")
        return self


class RouteSettings(_Section):
    """``[[notify.routes]]``: who is told of which alerts, when, and how often. What is left out selects everything."""

    name: _Name
    severity: tuple[Literal["info", "warning", "critical"], ...] = ()
    #: Globs of node ids.
    nodes: tuple[str, ...] = ()
    #: Globs of the groups that nodes are in.
    groups: tuple[str, ...] = ()
    #: Globs of rule names.
    rules: tuple[str, ...] = ()
    #: See ``hub/alerts/notify_times.py``; at other times the route waits.
    times: tuple[Annotated[str, AfterValidator(_window)], ...] = ()
    channels: tuple[str, ...] = Field(min_length=1)
    #: Alerts that are alike in all of these share a message.
    group_by: tuple[Literal["rule", "node", "severity"], ...] = ("rule",)
    #: How long a message waits for more of its group.
    group_wait: Duration = 10.0
    #: Least time between two messages of one group.
    group_interval: Duration = 60.0
    #: While it goes on and nobody has acknowledged; 0 = never.
    repeat_every: Duration = 4 * 3600.0
    #: Unacknowledged for so long since the first message: ``escalate_to`` is told too; 0 = never.
    escalate_after: Duration = 0.0
    escalate_to: tuple[str, ...] = ()
    #: Tell those who were told of an alert that it is over.
    resolved: bool = True

    @model_validator(mode="after")
    def _escalates_to_somebody(self) -> RouteSettings:
        if bool(self.escalate_after) != bool(self.escalate_to):
            raise ValueError("escalate_after and escalate_to belong together: give both or none")
        return self


class NotifySettings(_Section):
    """``[notify]``: messages to people."""

    channels: tuple[ChannelSettings, ...] = ()
    #: Empty: every alert goes to every channel.
    routes: tuple[RouteSettings, ...] = ()
    #: Where people look at alerts; messages end with it.
    link: str = Field(default="", pattern=r"^(https?://\S+)?$")
    #: Of ``times`` that name none, and of the times in messages.
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    #: A channel that has not taken a message by then has failed this once.
    timeout: _Positive = 30.0
    retry_first: _Positive = 5.0
    #: The pause doubles from try to try, up to this.
    retry_most: _Positive = 600.0
    #: What no channel took for so long has failed for good.
    give_up_after: _Positive = 86_400.0
    #: Messages that wait for one channel; the oldest goes when one more comes.
    queue: int = Field(default=1000, ge=1)
    #: How long it stays known who was told of what.
    history: _Positive = 90 * 86_400.0

    @model_validator(mode="after")
    def _names(self) -> NotifySettings:
        known = [channel.name for channel in self.channels]
        for kind, names in (("channels", known), ("routes", [route.name for route in self.routes])):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"{kind}: {twice[0]!r} is there {names.count(twice[0])} times; names must differ")
        for route in self.routes:
            for name in (*route.channels, *route.escalate_to):
                if name not in known:
                    raise ValueError(
                        f"route {route.name!r} names channel {name!r}, which [[notify.channels]] has not; "
                        f"there are: {', '.join(known) or 'none'}"
                    )
        return self
