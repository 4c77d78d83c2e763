"""The table of collectors. A new one is one file beside this one, one line here and one in ``agent/README.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.collectors.battery import BatteryCollector
from agent.collectors.cpu import CpuCollector
from agent.collectors.disk import DiskCollector
from agent.collectors.diskio import DiskIoCollector
from agent.collectors.fan import FanCollector
from agent.collectors.memory import MemoryCollector
from agent.collectors.net import NetCollector
from agent.collectors.own import AgentCollector
from agent.collectors.processes import ProcessCollector
from agent.collectors.system import SystemCollector
from agent.collectors.temperature import TemperatureCollector
from agent.collectors.users import UserCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.collectors.base import Collector
    from agent.config import AgentSettings
    from wire.point import Value

    #: Figures about the agent itself, for its own collector.
    Figures = Callable[[], dict[str, Value]]

COLLECTORS: Final[Mapping[str, Callable[[AgentSettings, Figures], Collector]]] = {
    "agent": lambda _settings, figures: AgentCollector(figures),
    "battery": lambda _settings, _figures: BatteryCollector(),
    "cpu": lambda _settings, _figures: CpuCollector(),
    "disk": lambda settings, _figures: DiskCollector(settings.ignored_file_systems, settings.ignored_mounts),
    "diskio": lambda settings, _figures: DiskIoCollector(settings.ignored_disks),
    "fan": lambda _settings, _figures: FanCollector(),
    "memory": lambda _settings, _figures: MemoryCollector(),
    "net": lambda settings, _figures: NetCollector(settings.ignored_interfaces),
    "processes": lambda settings, _figures: ProcessCollector(settings.top_n),
    "system": lambda _settings, _figures: SystemCollector(),
    "temperature": lambda _settings, _figures: TemperatureCollector(),
    "users": lambda _settings, _figures: UserCollector(),
}
