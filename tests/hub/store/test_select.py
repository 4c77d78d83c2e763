from __future__ import annotations

import fnmatch
import re

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.store.select import glob_matcher, glob_regex

texts = st.text("ab]-!^\\.*[\n", max_size=6)
#: Without sets: Python's fnmatch knows them in a form of its own (ranges upside down, ``[^``).
plain_globs = st.text("ab.*?\\\n", max_size=6)
globs = st.text("abc-!^]\\[*?.&~|# ", max_size=8)


@given(plain_globs, texts)
def test_globs_match_as_the_standard_library_does(glob: str, text: str) -> None:
    assert glob_matcher(glob)(text) == fnmatch.fnmatchcase(text, glob)


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("[abc]x", ["ax", "cx"], ["x", "dx", "abcx"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-"]),
        ("[!a-c]", ["d", "-", "!"], ["a", "", "dd"]),
        ("[]]", ["]"], ["[", ""]),
        ("[!]]", ["[", "a"], ["]"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[z-a]", [], ["a", "z", "-"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("[", ["["], [""]),
        ("a[b", ["a[b"], ["ab"]),
        ("x[\\]", ["x\\"], ["x"]),
        ("*", ["", "a\nb"], []),
    ],
)
def test_sets_in_globs(glob: str, matching: list[str], other: list[str]) -> None:
    matches = glob_matcher(glob)
    assert [text for text in matching + other if matches(text)] == matching


@given(globs, st.lists(texts, min_size=1, max_size=5))
@example("[!a]*\\", ["b\\"])
def test_globs_mean_the_same_in_sql(glob: str, texts: list[str]) -> None:
    pattern = glob_regex(glob)
    with duckdb.connect() as connection:
        query = "SELECT list_transform($texts::VARCHAR[], lambda t: regexp_full_match(t, $pattern, 's'))"
        found = connection.execute(query, {"texts": texts, "pattern": pattern}).fetchall()[0][0]
    assert found == [re.fullmatch(pattern, text, re.DOTALL) is not None for text in texts]
    assert found == [glob_matcher(glob)(text) for text in texts]


def test_without_a_glob_everything_matches() -> None:
    assert glob_matcher(None)("anything")
