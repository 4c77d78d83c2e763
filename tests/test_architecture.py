"""Guards of the shape of the code: who may import whom and what, how long a file is, where topics are joined.

Each rule is a function over modules, so that a test can also show that it sees what it must.
"""

from __future__ import annotations

import ast
import re
import sys
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from tests.support.sources import PACKAGES, Module, cycle, imported, modules, strings

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Which of our packages each package may import, beside itself (docs: the table of folders in README.md).
MAY_IMPORT = {
    "wire": set[str](),
    "hub": {"wire"},
    "agent": {"wire"},
    "gateways": {"wire"},
    "dashboard": {"wire"},
    "bench": {"wire", "hub", "agent"},
}

#: Where each third-party package may be imported. Values that travel everywhere are free; what opens a socket, a file
#: or a process is kept where its errors are translated.
ANYWHERE = ("*",)
PLACES = {
    "msgspec": ANYWHERE,
    "pydantic": ANYWHERE,
    "numpy": ("hub/*", "dashboard/*", "bench/*"),
    "pandas": ("dashboard/*",),
    "plotly": ("dashboard/charts/*",),
    "playwright": ("bench/viewers.py",),
    "pyarrow": ("hub/store/*", "hub/api/encoders.py", "dashboard/*", "bench/*"),
    "structlog": ("hub/*", "bench/*"),
    "pydantic_core": ("wire/settings_problems.py",),
    "pydantic_settings": ("wire/settings_layers.py",),
    "aiomqtt": ("wire/connection.py", "wire/driver.py"),
    "paho": ("wire/connection.py", "wire/driver.py"),
    "mqtt5": ("hub/connection.py", "bench/load.py", "bench/tap.py"),
    "duckdb": ("hub/store/duck*.py",),
    "tomlkit": ("hub/rules/book.py",),
    "aiohttp": ("hub/store/influx_http.py",),
    "influxdb_client": ("hub/store/influx_client.py",),
    "sqlalchemy": ("hub/nodes/*.py", "hub/alerts/*.py", "hub/from_settings.py"),  # settings say which database, by URL
    "apprise": ("hub/alerts/notify_send.py",),
    "argon2": ("hub/nodes/*.py",),
    "cryptography": ("wire/signing.py", "hub/tls/*.py"),
    "fastapi": ("hub/api/*.py",),
    "starlette": (
        "hub/api/*.py",
        "dashboard/gate.py",
        "dashboard/login.py",
        "dashboard/oidc.py",
        "dashboard/server.py",
        "dashboard/shell.py",
    ),
    "streamlit": ("dashboard/*", "bench/watchers.py"),
    "uvicorn": ("hub/api/server.py", "dashboard/server.py"),
    "prometheus_client": ("hub/metrics.py",),
    "httpx": ("dashboard/client.py", "hub/cli/client.py", "hub/cli/doctor*.py", "hub/oidc.py", "hub/online.py"),
    "jwt": ("hub/oidc_token.py",),
    "websockets": ("hub/cli/stream.py", "hub/online.py", "bench/watchers.py"),
    "typer": ("hub/cli/*.py",),
    "rich": ("hub/cli/*.py", "bench/*"),
    "psutil": (
        "agent/inventory.py",
        "agent/collectors/*.py",
        "agent/commands/processes.py",
        "hub/broker/ports.py",
        "hub/supervise/keeper.py",
        "bench/*",
    ),
}

LONGEST_FILE = 300
_SHORTEST_SENTENCE = 3
#: Files that may be longer, and why.
LONGER: dict[str, str] = {}

_LEVELS = "status|telemetry|log|cmd|reply|stored|alert|stats"
_JOINED = re.compile(rf"iot/v1|(^|[^.\w/])\{{\}}/({_LEVELS})(/|$)|/({_LEVELS})/(\{{\}}|\+)")
#: Paths of HTTP and files that look like topics.
NO_TOPICS = ("hub/api/*", "hub/cli/*")


def forbidden_imports(sources: Iterable[Module]) -> list[str]:
    """Imports against the direction of :data:`MAY_IMPORT`."""
    return [
        f"{module.path} imports {name}"
        for module in sources
        for name in sorted(imported(module))
        if (package := name.partition(".")[0]) in {*PACKAGES, "tests"}
        and package != module.package
        and package not in MAY_IMPORT[module.package]
    ]


def misplaced_drivers(sources: Iterable[Module]) -> list[str]:
    """Third-party packages outside the places of :data:`PLACES`."""
    return [
        f"{module.path} imports {package}"
        for module in sources
        for package in sorted({name.partition(".")[0] for name in imported(module)})
        if package not in {*sys.stdlib_module_names, *PACKAGES}
        and not any(fnmatch(module.path, place) for place in PLACES.get(package, ()))
    ]


def import_cycle(sources: Iterable[Module]) -> list[str] | None:
    """One circle of imports among ``sources``."""
    by_name = {module.name: module for module in sources}
    return cycle({name: imported(module, by_name) & by_name.keys() for name, module in by_name.items()})


def too_long(sources: Iterable[Module]) -> list[str]:
    """Files past the limit, and exceptions that are none any more."""
    lengths = {module.path: module.text.count("\n") for module in sources}
    long = {path for path, lines in lengths.items() if lines > LONGEST_FILE}
    return [f"{path} has {lengths[path]} lines" for path in sorted(long - LONGER.keys())] + [
        f"{path} needs no exception" for path in sorted(LONGER.keys() - long)
    ]


def joined_topics(sources: Iterable[Module]) -> list[str]:
    """Strings that look like a topic of the contract, outside the one file that builds them."""
    return [
        f"{module.path}:{line} joins a topic: {text!r}"
        for module in sources
        if module.path != "wire/topics.py"
        for line, text in strings(module)
        if _JOINED.search(text) and not any(fnmatch(module.path, place) for place in NO_TOPICS)
    ]


def undocumented(sources: Iterable[Module]) -> list[str]:
    """Modules and packages that do not say what they are for."""
    return [
        module.path for module in sources if len((ast.get_docstring(module.tree) or "").split()) < _SHORTEST_SENTENCE
    ]


def test_imports_run_downward_only() -> None:
    assert forbidden_imports(modules(*PACKAGES)) == []


def test_no_import_runs_in_a_circle() -> None:
    assert import_cycle(modules(*PACKAGES)) is None


def test_each_driver_is_imported_where_its_errors_are_translated() -> None:
    assert misplaced_drivers(modules(*PACKAGES)) == []


def test_no_file_is_too_long_to_be_read_in_one_go() -> None:
    assert too_long(modules(*PACKAGES, "tests")) == []


def test_only_one_file_joins_topics() -> None:
    # bench/ plays devices, which know the contract by heart; so do the tests.
    assert joined_topics(modules(*set(PACKAGES) - {"bench"})) == []


def test_every_module_says_what_it_is_for() -> None:
    assert undocumented(modules(*PACKAGES)) == []


# -- the guards see what they must ------------------------------------------------------------------------------------


def module(name: str, text: str) -> Module:
    return Module(name, name.replace(".", "/") + ".py", text)


def test_an_import_upward_is_seen_wherever_it_hides() -> None:
    for text in (
        "import hub",
        "from hub.store import base",
        "def f():\n    import hub.paths",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hub.paths import StatePaths",
        "from tests.support import waiting",
    ):
        assert forbidden_imports([module("agent.x", text)]) != []
    assert forbidden_imports([module("agent.x", "import wire\nfrom agent import y\nfrom . import z")]) == []


def test_a_circle_is_seen() -> None:
    a, b, c = module("hub.a", "from hub import b"), module("hub.b", "from .c import x"), module("hub.c", "import hub.a")
    assert import_cycle([a, b, c]) == ["hub.a", "hub.b", "hub.c", "hub.a"]
    assert import_cycle([a, b]) is None


def test_a_driver_out_of_place_and_one_without_a_place_are_seen() -> None:
    assert misplaced_drivers([module("hub.pipeline", "import duckdb")]) == ["hub/pipeline.py imports duckdb"]
    assert misplaced_drivers([module("hub.pipeline", "from requests import get")]) == [
        "hub/pipeline.py imports requests"
    ]
    assert misplaced_drivers([module("hub.store.duck", "import duckdb, os, wire.point")]) == []


def test_a_long_file_is_seen() -> None:
    assert too_long([module("hub.x", "\n" * 301)]) == ["hub/x.py has 301 lines"]


def test_a_joined_topic_is_seen() -> None:
    for text in (
        "t = 'iot/v1/n/status'",
        "t = f'{root}/{node}/telemetry/{m}'",
        "t = f'{base}/status'",
        "t = base + '/cmd/+'",
    ):
        assert joined_topics([module("agent.x", text)]) != []
    for text in ('"""On iot/v1/{node}/status."""', "p = f'{folder}/data'", "u = '/api/v1/nodes'"):
        assert joined_topics([module("agent.x", text)]) == []


def test_a_silent_module_is_seen() -> None:
    assert undocumented([module("hub.x", "x = 1"), module("hub.y", '"""Docs."""')]) == ["hub/x.py", "hub/y.py"]
