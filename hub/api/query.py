"""``/query``: samples and aggregates, as JSON, CSV or Arrow."""

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from hub.api.auth import SeenParts
from hub.api.encoders import as_arrow, as_csv, as_json
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.reduction import reduced
from hub.api.requests import TAG_PARAMETER, Glob, Start, Stop, tags_of, time_range
from hub.api.schemas import QueryAnswer
from hub.store import base
from hub.store.base import Fn, Frame, SeriesFilter
from wire.point import NS_PER_S
from wire.settings import parse_duration

router = APIRouter(tags=["data"])


class Format(enum.StrEnum):
    """Form of an answer."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


_MEDIA: Final = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
_ENCODERS: Final[dict[Format, Callable[[base.Query, Sequence[Frame]], Iterator[bytes]]]] = {
    Format.JSON: as_json,
    Format.CSV: as_csv,
    Format.ARROW: as_arrow,
}
_OTHER_FORMS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            _MEDIA[Format.CSV]: {"schema": {"type": "string"}},
            _MEDIA[Format.ARROW]: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}


@router.get(
    "/query",
    response_model=QueryAnswer,
    response_class=StreamingResponse,
    responses=_OTHER_FORMS,
    openapi_extra={"parameters": [TAG_PARAMETER]},
)
async def query(
    request: Request,
    parts: SeenParts,
    *,
    node: Glob = None,
    measurement: Glob = None,
    field: Glob = None,
    nodes: Annotated[
        str | None, Query(max_length=16_384, description="instead of or beside `node`: ids with commas between")
    ] = None,
    start: Start = "-1h",
    stop: Stop = "now",
    every: Annotated[
        str | None, Query(max_length=32, description="width of the windows, e.g. `30s`, `5m`, `1h`", examples=[None])
    ] = None,
    fn: Annotated[Fn | None, Query(description="aggregate of each window; mean when left out")] = None,
    points: Annotated[
        int | None,
        Query(ge=10, le=100_000, description="at most so many points a series, for charts; peaks are kept"),
    ] = None,
    limit: Annotated[int | None, Query(ge=1, description="most rows over all series; more are refused")] = None,
    form: Annotated[Format | None, Query(alias="format", description="instead of the header Accept")] = None,
) -> StreamingResponse:
    """Samples as they were stored, or with ``every`` one aggregate a window, labelled by its start.

    With ``points`` a series that has more is reduced to the least and the greatest of each window.

    The header `Accept` or `format` chooses between JSON (two columns a series), CSV and an Arrow IPC stream (one row a
    sample: time, node, measurement, tag.… , field, value). In CSV a `'` stands before text that starts with one of
    `= + - @`.
    """
    chosen_form = form or _accepted(request.headers.get("accept", "*/*"))
    start_ns, stop_ns = time_range(start, stop, parts.clock_ns())
    most = parts.settings.api.max_rows
    if limit is not None and limit > most:
        raise wrong_parameter("query.limit", f"at most {most} (setting api.max_rows)")
    if fn is not None and every is None:
        raise wrong_parameter("query.fn", "needs every, e.g. every=5m")
    if points is not None and every is not None:
        raise wrong_parameter("query.points", "chooses the windows itself: leave out every")
    wanted = base.Query(
        series=SeriesFilter(
            node=node,
            measurement=measurement,
            field=field,
            tags=tags_of(request),
            nodes=frozenset(nodes.split(",")) if nodes is not None else None,
        ),
        start_ns=start_ns,
        stop_ns=stop_ns,
        every_ns=_every_ns(every) if every is not None else None,
        fn=fn or Fn.MEAN,
        limit=limit or most,
    )
    frames = await (parts.store.query(wanted) if points is None else reduced(parts.store, wanted, points))
    rows = sum(len(frame.ts_ns) for frame in frames)
    if rows > wanted.limit:
        raise ProblemError(
            422,
            f"{rows} rows are more than the limit of {wanted.limit}: narrow the range or widen every.",
            kind="query",
        )
    return StreamingResponse(_ENCODERS[chosen_form](wanted, frames), media_type=_MEDIA[chosen_form])


def _every_ns(text: str) -> int:
    try:
        every_ns = int(parse_duration(float(text) if text.isdigit() else text) * NS_PER_S)
    except ValueError as error:
        raise wrong_parameter("query.every", str(error)) from error
    if not 0 < every_ns < 2**63:
        raise wrong_parameter("query.every", "must be more than 0 and less than 292 years")
    return every_ns


def _accepted(header: str) -> Format:
    """The best of ours that the client accepts (RFC 9110 §12.5.1); 406 when it accepts none."""
    best: tuple[float, Format] | None = None
    for choice in header.split(","):
        media, *options = (part.strip().lower() for part in choice.split(";"))
        quality = next((_quality(option[2:]) for option in options if option.startswith("q=")), 1.0)
        for form, offered in _MEDIA.items():
            if media in (offered, "*/*", offered.split("/")[0] + "/*") and (best is None or quality > best[0]):
                best = (quality, form)
    if best is None or best[0] <= 0:
        raise ProblemError(406, f"Accept names none of {', '.join(_MEDIA.values())}.")
    return best[1]


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
