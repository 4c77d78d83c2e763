from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.surrogates import is_whole, mended

#: Texts that JSON can spell, halves of pairs among them.
_spelt = st.text(st.sampled_from(["a", "\\", "u", "d", "8", "é", "😀", "\ud83d", "\ude00", "\udfff"]), max_size=8)


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"\uDE00 left over"', "\ufffd left over"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\u00e9"', "é"),
        ('"plain"', "plain"),
    ],
)
def test_half_characters_are_replaced_and_nothing_else(spelt: str, read: str) -> None:
    assert json.loads(mended(spelt)) == read


@given(_spelt)
def test_mended_json_holds_no_half_character_and_keeps_all_whole_ones(text: str) -> None:
    # Python joins halves that meet only when it reads them again, so what is meant is what JSON reads.
    meant = json.loads(json.dumps(text))
    read = json.loads(mended(json.dumps(text)))
    assert is_whole(read)
    assert read == "".join(c if is_whole(c) else "\ufffd" for c in meant)


def test_a_whole_text_is_one_that_utf8_can_hold() -> None:
    assert is_whole("")
    assert is_whole("grün 😀")
    assert not is_whole("cut \ud83d")
