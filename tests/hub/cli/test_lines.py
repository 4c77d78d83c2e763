from __future__ import annotations

import pytest

from hub.api.schemas import QueryAnswer
from hub.api.schemas_live import LiveMessage, LiveNode, LivePoint
from hub.cli.base import CliError
from hub.cli.data import print_answer, split_series
from hub.cli.live import is_wanted, message_line, node_line

AT = "2026-11-21T22:00:00.123Z"


def message(**facts: object) -> LiveMessage:
    given = {
        "at": AT,
        "topic": "iot/v1/a/telemetry/room",
        "node": "a",
        "measurement": "room",
        "outcome": "stored",
        "size_bytes": 9,
    }
    return LiveMessage.model_validate(given | facts)


def test_a_stored_message_shows_its_points() -> None:
    points = [LivePoint(time=AT, measurement="room", tags={"wall": "n"}, fields={"temperature": 21.5, "door": True})]
    assert message_line(message(points=points)).endswith(".123  stored     a  room[wall=n] temperature=21.5 door=true")


def test_a_refused_message_shows_topic_and_reason() -> None:
    line = message_line(
        message(outcome="refused", reason="not-json", detail="expected value; starts with 'hello'", points=[])
    )
    assert line.endswith("refused    iot/v1/a/telemetry/room  not-json: expected value; starts with 'hello'")


def test_a_reason_that_the_detail_repeats_is_shown_once() -> None:
    line = message_line(message(outcome="refused", reason="too-old", detail="too-old: 1 d", points=[]))
    assert line.endswith("telemetry/room  too-old: 1 d")


def test_a_message_cannot_steer_the_terminal() -> None:
    line = message_line(message(outcome="refused", reason="not-json", detail="\x1b[2J\r\nx", points=[]))
    assert line.endswith("not-json: \\x1b[2J\\r\\nx")


def test_a_node_that_goes_shows_why_and_how_long_it_was_there() -> None:
    event = LiveNode(at=AT, node="a", change="offline", reason="connection lost", duration_s=61.0)
    assert node_line(event).endswith("offline    a  connection lost after 1 min 1 s")


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("cpu.usage", ("cpu", "usage")),
        ("cpu", ("cpu", "*")),
        ("room.air.co2", ("room", "air.co2")),
        ("*.temp*", ("*", "temp*")),
    ],
)
def test_the_first_dot_divides_measurement_and_field(text: str, series: tuple[str, str]) -> None:
    assert split_series(text) == series


@pytest.mark.parametrize("text", ["", ".usage", "cpu."])
def test_what_names_no_series_is_a_usage_error(text: str) -> None:
    with pytest.raises(CliError) as wrong:
        split_series(text)
    assert wrong.value.code == 2


def column(field: str, times: list[str], values: list[float], **tags: str) -> dict[str, object]:
    facts = {"node": "a", "measurement": "cpu", "kind": "number", "times": times, "values": values}
    return facts | {"field": field, "tags": tags}


def answer(*columns: dict[str, object]) -> QueryAnswer:
    return QueryAnswer.model_validate(
        {"start": AT, "stop": AT, "every_s": None, "fn": None, "rows": 1, "series": list(columns)}
    )


def test_an_answer_is_printed_in_order_of_time_with_zone_and_tags(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = "2026-11-21T22:00:00.000Z", "2026-11-21T22:00:10.000Z"
    print_answer(answer(column("usage", [first, second], [1.5, 2.0]), column("usage", [first], [3.25], core="0")))
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "TIME"
    assert [row.split()[3] for row in rows] == ["1.5", "3.25", "2"]
    assert rows[1].endswith("core=0")


def test_several_fields_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    at = ["2026-11-21T22:00:00.250Z"]
    print_answer(answer(column("usage", at, [1.5]), column("load1", at, [0.5])))
    head, *rows = capsys.readouterr().out.splitlines()
    assert "SERIES" in head
    assert {row.split()[3] for row in rows} == {"cpu.usage", "cpu.load1"}
    assert ".250 " in rows[0]


def test_tail_leaves_out_the_brokers_own_figures_and_on_request_all_but_refusals() -> None:
    assert is_wanted(message(), refused=False)
    assert not is_wanted(message(topic="$SYS/broker/x", outcome="handled"), refused=False)
    assert not is_wanted(message(), refused=True)
    assert is_wanted(message(outcome="refused", reason="not-json"), refused=True)
    assert not is_wanted(LiveNode(at=AT, node="a", change="online", reason="birth"), refused=True)
