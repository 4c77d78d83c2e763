r"""Half characters: JSON can spell one half of a pair, as in ``"\ud83d"``, which is what cutting a text in two leaves.

UTF-8 cannot hold one, so no database, file or MQTT message can: they are found where text comes in.
"""

from __future__ import annotations

import re
from typing import Final

_REPLACEMENT: Final = "\\ufffd"
# What stands for itself comes first: an escaped backslash, and both halves of a pair.
_ESCAPES: Final = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def is_whole(text: str) -> bool:
    """Whether UTF-8 can hold ``text``; cheap for ASCII."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def mended(json_text: str) -> str:
    """JSON with each half character replaced by U+FFFD, as the Unicode standard advises (§3.9)."""
    if "\\u" not in json_text:
        return json_text
    return _ESCAPES.sub(lambda found: found[1] or _REPLACEMENT, json_text)
