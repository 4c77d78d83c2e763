"""Conditions made ready: each becomes a judge, ``(value, level so far) -> level``.

A level is the rank of a severity, or :data:`CLEAR`. A judge knows hysteresis by the level so far: a severity that holds
lets go at its ``clear``, one that does not takes hold at its threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hub.rules.events import Severity
from hub.rules.levels import Levels, Ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.rules.asking import Asking
    from wire.point import Value

CLEAR: Final = -1
#: None: the value is of a type that the question does not fit, and changes nothing.
Judge = Callable[["Value", int], "int | None"]
#: Threshold, where it lets go, rank.
_Step = tuple[float, float, int]


def judge_of(asking: Asking, severity: Severity) -> Judge:
    """The judge of a checked condition; ``absent`` and ``changed`` have none of their own, see the engine."""
    if asking.above is not None:
        return _above(steps(asking, severity))
    if asking.below is not None:
        return _below(steps(asking, severity))
    if asking.outside is not None:
        return _outside(asking, severity)
    if asking.equals is not None:
        return _equals(frozenset(asking.equals), severity.rank, CLEAR)
    if asking.differs is not None:
        return _equals(frozenset(asking.differs), CLEAR, severity.rank)
    return lambda _value, _level: CLEAR


def steps(asking: Asking, severity: Severity) -> list[_Step]:
    """Thresholds of ``above`` or ``below``, most severe first.

    Raises:
        ValueError: they do not lie in order, or ``clear`` is on the wrong side.
    """
    levels = asking.above or asking.below
    if levels is None:
        raise AssertionError(asking)
    sign = 1 if asking.above is not None else -1
    wanted = list(levels.of(severity))
    lets_go = _lets_go(asking.clear, wanted) if isinstance(asking.clear, Levels) else {}
    found: list[_Step] = []
    for each, threshold in wanted:
        clear = lets_go.get(each, threshold)
        if sign * clear > sign * threshold:
            side = "above" if sign > 0 else "below"
            raise ValueError(f"clear of {each} is {clear:g}: it must not lie {side} its threshold, {threshold:g}")
        if found and sign * found[0][0] > sign * threshold:
            raise ValueError(f"{each} is {threshold:g}: it must lie beyond what is less severe, {found[0][0]:g}")
        found.insert(0, (threshold, clear, each.rank))
    return found


def ranges(asking: Asking, severity: Severity) -> list[tuple[float, float, float, float, int]]:
    """Of ``outside``: low, high, where they let go, rank; most severe first.

    Raises:
        ValueError: a range is empty or not inside the one that is more severe.
    """
    if asking.outside is None:
        raise AssertionError(asking)
    wanted = list(asking.outside.of(severity))
    clear = dict(asking.clear.of(wanted[0][0])) if isinstance(asking.clear, Ranges) else {}
    if stray := set(clear) - {each for each, _ in wanted}:
        raise ValueError(f"clear names {min(stray)}, which outside does not")
    plain = isinstance(asking.clear, Ranges) and asking.clear.alone is not None
    least, low_gap, high_gap = wanted[0][1], 0.0, 0.0
    if plain:
        low_gap, high_gap = clear[wanted[0][0]][0] - least[0], least[1] - clear[wanted[0][0]][1]
    found: list[tuple[float, float, float, float, int]] = []
    for each, (low, high) in wanted:
        if low > high:
            raise ValueError(f"{each} is [{low:g}, {high:g}]: the first must be the lowest value that is all right")
        if found and (low > found[0][0] or high < found[0][1]):
            raise ValueError(f"{each} is [{low:g}, {high:g}]: it must hold the range that is less severe")
        in_low, in_high = (low + low_gap, high - high_gap) if plain else clear.get(each, (low, high))
        if not low <= in_low <= in_high <= high:
            raise ValueError(f"clear of {each} is [{in_low:g}, {in_high:g}]: it must lie in [{low:g}, {high:g}]")
        found.insert(0, (low, high, in_low, in_high, each.rank))
    return found


def _lets_go(clear: Levels, wanted: Sequence[tuple[Severity, float]]) -> dict[Severity, float]:
    """Where each severity lets go; one value alone is that of the least, and the others keep its distance."""
    if clear.alone is None:
        named = dict(clear.of(Severity.INFO))
        if stray := set(named) - {each for each, _ in wanted}:
            raise ValueError(f"clear names {min(stray)}, which has no threshold")
        return named
    gap = wanted[0][1] - clear.alone
    return {each: threshold - gap for each, threshold in wanted}


def _above(found: Sequence[_Step]) -> Judge:
    def judge(value: Value, level: int) -> int | None:
        if isinstance(value, str):
            return None
        for threshold, clear, rank in found:
            if value > (clear if rank <= level else threshold):
                return rank
        return CLEAR

    return judge


def _below(found: Sequence[_Step]) -> Judge:
    def judge(value: Value, level: int) -> int | None:
        if isinstance(value, str):
            return None
        for threshold, clear, rank in found:
            if value < (clear if rank <= level else threshold):
                return rank
        return CLEAR

    return judge


def _outside(asking: Asking, severity: Severity) -> Judge:
    found = ranges(asking, severity)

    def judge(value: Value, level: int) -> int | None:
        if isinstance(value, str):
            return None
        for low, high, in_low, in_high, rank in found:
            if rank <= level:
                low, high = in_low, in_high  # noqa: PLW2901  it holds: it lets go inside only
            if value < low or value > high:
                return rank
        return CLEAR

    return judge


def _equals(wanted: frozenset[Value], same: int, other: int) -> Judge:
    def judge(value: Value, _level: int) -> int | None:
        return same if value in wanted else other

    return judge
