"""Live charts are drawn anew in place.

Streamlit names a chart by what it shows, whatever its key: with each new sample it was another chart for the browser,
which built it beside the old one and took that away afterwards. All of a node's charts jumped, every two seconds.
"""

from __future__ import annotations

from typing import Any

from streamlit.elements import plotly_chart
from streamlit.elements.lib.utils import compute_and_register_element_id


def charts_in_place() -> None:
    """Name charts by their keys from now on; but for those on which people select: a selection is of what was shown."""
    plotly_chart.compute_and_register_element_id = _named_by_key  # type: ignore[attr-defined,assignment]  # takes the same


def _named_by_key(element_type: str, *, key_as_main_identity: bool, **given: Any) -> str:
    by_key = key_as_main_identity or not given["is_selection_activated"]
    return compute_and_register_element_id(element_type, key_as_main_identity=by_key, **given)
