"""Stages of a fleet run: ``1,10%,all`` over so many nodes. Pure."""

from __future__ import annotations

import fnmatch
import itertools
import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ALL: Final = "all"
_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
_COUNT: Final = re.compile(r"[1-9]\d{0,6}")
_WHOLE: Final = 100.0
#: Prefix of a selector that names a group of nodes.
GROUP: Final = "group:"
_GLOB: Final = frozenset("*?[")


def boundaries(stages: Sequence[str], nodes: int) -> list[int]:
    """How many nodes have the command after each stage: ``1,10%,all`` over 200 is ``[1, 20, 200]``.

    Numbers count nodes, shares are of all nodes and rounded up, both from the start. The last stage always is all.

    Raises:
        ValueError: a stage is none, or not larger than the one before; the text says which.
    """
    found: list[int] = []
    for stage in stages:
        upto = min(_upto(stage.strip(), nodes), nodes)
        if not found or upto > found[-1]:
            found.append(upto)
    _check_rising(stages)
    if not found or found[-1] < nodes:
        found.append(nodes)
    return found


def chosen(selectors: Iterable[str], groups: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes that any selector means, sorted: an id, a shell glob, ``group:NAME`` (which may be a glob, too).

    Args:
        selectors: of the user.
        groups: all nodes with the groups that each is in.
    """
    wanted = list(selectors)
    return sorted(node for node, names in groups.items() if any(_means(each, node, names) for each in wanted))


def is_several(selector: str) -> bool:
    """Whether ``selector`` may mean several nodes."""
    return selector.startswith(GROUP) or bool(_GLOB & set(selector)) or "," in selector


def split(text: str) -> list[str]:
    """``a,b`` as it is typed."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _means(selector: str, node: str, groups: Iterable[str]) -> bool:
    if selector.startswith(GROUP):
        name = selector.removeprefix(GROUP)
        return any(fnmatch.fnmatchcase(group, name) for group in groups)
    return fnmatch.fnmatchcase(node, selector)


def _upto(stage: str, nodes: int) -> int:
    if stage == _ALL:
        return nodes
    if _COUNT.fullmatch(stage):
        return int(stage)
    share = _SHARE.fullmatch(stage)
    if share is None or not 0 < float(share[1]) <= _WHOLE:
        raise ValueError(f"stage {stage[:20]!r} is neither a number of nodes, nor a share such as 10%, nor all")
    return math.ceil(nodes * Fraction(share[1]) / 100)  # exactly: as floats, 0.07% of 10,000 would be more than 7


def _check_rising(stages: Sequence[str]) -> None:
    """Refuse what is smaller whatever the number of nodes is: a slip, and not a small fleet."""
    if _ALL in stages[:-1]:
        raise ValueError("all can only be the last stage")
    for pattern in (_COUNT, _SHARE):
        found = [float(stage.strip().rstrip("%")) for stage in stages if pattern.fullmatch(stage.strip())]
        if any(after <= before for before, after in itertools.pairwise(found)):
            raise ValueError(f"stages {','.join(stages)} do not rise: each counts all nodes from the start")
