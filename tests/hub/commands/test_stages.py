"""Stages and selectors of fleet runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.commands.stages import boundaries, chosen, is_several, split

NODES = {"lab-1": ("lab",), "lab-2": ("lab", "hot"), "roof": ("hot",)}


@pytest.mark.parametrize(
    ("stages", "nodes", "expected"),
    [
        ("1,10%,all", 200, [1, 20, 200]),
        ("", 5, [5]),
        ("1", 5, [1, 5]),
        ("10%,50%", 3, [1, 2, 3]),
        ("5,50%", 6, [5, 6]),
        ("100", 7, [7]),
        ("1,all", 1, [1]),
        ("0.07%", 10_000, [7, 10_000]),
        ("0.001%,100%", 3, [1, 3]),
    ],
)
def test_stages_count_nodes_from_the_first_and_end_with_all(stages: str, nodes: int, expected: list[int]) -> None:
    assert boundaries(split(stages), nodes) == expected


@pytest.mark.parametrize("stages", ["0", "x", "-1", "0%", "101%", "all,1", "5,1", "50%,10%", "1e3", "10 %"])
def test_what_is_no_stage_is_refused(stages: str) -> None:
    with pytest.raises(ValueError, match=r"stage|all"):
        boundaries(split(stages), 100)


@given(st.lists(st.integers(1, 1000), unique=True).map(sorted), st.integers(1, 1000))
def test_stages_always_rise_and_reach_every_node(counts: list[int], nodes: int) -> None:
    found = boundaries([str(count) for count in counts], nodes)
    assert found == sorted(set(found))
    assert found[-1] == nodes


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["lab-*"], ["lab-1", "lab-2"]),
        (["group:hot"], ["lab-2", "roof"]),
        (["group:*"], ["lab-1", "lab-2", "roof"]),
        (["roof", "lab-1", "roof"], ["lab-1", "roof"]),
        (["LAB-*"], []),
        (["group:none"], []),
    ],
)
def test_selectors_mean_ids_globs_and_groups(selectors: list[str], expected: list[str]) -> None:
    assert chosen(selectors, NODES) == expected


def test_one_node_is_not_several() -> None:
    assert [is_several(each) for each in ("a", "a*", "group:a", "a,b")] == [False, True, True, True]
