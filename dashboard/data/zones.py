"""Times in the zone of the person who looks: charts show what is on their clock."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def zone_or_utc(name: str | None) -> str:
    """``name`` where it is a zone, else UTC; browsers send whatever they like."""
    try:
        return ZoneInfo(name).key if name else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def in_zone(times: npt.NDArray[np.datetime64], zone: str) -> npt.NDArray[np.datetime64]:
    """Times in UTC as wall clock times of ``zone``, as Plotly draws them."""
    local: npt.NDArray[np.datetime64] = (
        pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone).tz_localize(None).to_numpy()
    )
    return local
