"""Write the dashboards: ``python -m grafana.build`` from the root of the repository; ``--check`` only compares.

A test does the same comparison: JSON that was changed by hand would be lost at the next build.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grafana.explorer import EXPLORER
from grafana.health import HEALTH
from grafana.host import HOST
from grafana.logs import LOGS
from grafana.overview import OVERVIEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grafana.dashboard import Dashboard

#: All of them; a new dashboard is a file and a line here.
DASHBOARDS: Final[tuple[Dashboard, ...]] = (OVERVIEW, HOST, EXPLORER, LOGS, HEALTH)
FOLDER: Final = Path(__file__).parent / "dashboards"


def files() -> dict[Path, str]:
    """Every file, and what must be in it."""
    return {
        FOLDER / f"{dashboard.name}.json": json.dumps(dashboard.json(), indent=1, ensure_ascii=False) + "\n"
        for dashboard in DASHBOARDS
    }


def stale() -> list[Path]:
    """Files that are not what would be built, and files that would not be built at all."""
    wanted = files()
    there = set(FOLDER.glob("*.json"))
    return sorted(
        path
        for path in there | set(wanted)
        if path not in there or path not in wanted or path.read_text(encoding="utf-8") != wanted[path]
    )


def main(arguments: Sequence[str]) -> int:
    """Build, or compare with ``--check``; the exit code."""
    changed = stale()
    for path in changed:
        sys.stdout.write(f"{path.relative_to(FOLDER.parent.parent)}\n")
    if "--check" in arguments:
        return 1 if changed else 0
    wanted = files()
    FOLDER.mkdir(exist_ok=True)
    for path in changed:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
