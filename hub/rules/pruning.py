"""Which state of series that vanished can go: containers and sessions come and go, and each has series of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.rules.tracks import Phase

if TYPE_CHECKING:
    from hub.rules.tables import CellPlace, Tables
    from hub.rules.tracks import Cell


class Pruning:
    """Drops what is old twice in a row, so that a backlog of old samples that is under way loses nothing.

    Args:
        tables: all state.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        #: Old at the last sweep, and the time of the newest sample then.
        self._aged: dict[CellPlace, int] = {}

    def sweep(self, before_ns: int) -> int:
        """Drop idle cells whose newest sample is of before ``before_ns`` and was so at the last sweep; how many.

        What is pending, firing or waited for stays. The conditions of one rule on one node go together.
        """
        aged, held = {}, set()
        for place, cell in self._tables.cells.items():
            newest_ns = _newest_ns(cell)
            if newest_ns < before_ns and _is_idle(cell):
                aged[place] = newest_ns
            elif cell.watch.rule.join is not None:
                held.add((cell.watch.rule.name, cell.key.node))
        aged = {place: ns for place, ns in aged.items() if (place[0], place[2].node) not in held}
        gone = [place for place, ns in aged.items() if self._aged.get(place) == ns]
        self._aged = aged
        self._tables.drop(gone, before_ns)
        return len(gone)


def _newest_ns(cell: Cell) -> int:
    return cell.window.newest_ns if cell.window else cell.last_ns


def _is_idle(cell: Cell) -> bool:
    return cell.wall_ns is None and all(track.phase is Phase.IDLE for track in cell.tracks)
