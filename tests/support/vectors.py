"""Payloads of other projects with what they mean, from ``tests/data/vectors.json``."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent.parent / "data" / "vectors.json"


@functools.cache
def _all() -> dict[str, dict[str, Any]]:
    return {vector["id"]: vector for vector in json.loads(_FILE.read_text(encoding="utf-8"))}


def vector(vector_id: str) -> tuple[bytes, Any]:
    """Payload and expectation of one vector."""
    found = _all()[vector_id]
    payload = found["input_text"].encode() if "input_text" in found else bytes.fromhex(found["input_hex"])
    return payload, found["expected"]


def ids(payload_format: str) -> set[str]:
    """Ids of all vectors of a format, so that a test can show that it leaves none out."""
    return {name for name, found in _all().items() if found["format"] == payload_format}
