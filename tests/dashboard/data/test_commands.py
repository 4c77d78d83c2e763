"""Commands as forms: fields from the schema of a node, what is sent of them, and which nodes are meant."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as having
from hypothesis import strategies as st

from agent.commands.basic import CollectArgs, IntervalArgs
from agent.commands.files import FilesArgs
from agent.commands.processes import ProcessesArgs
from dashboard.data.commands import FREE, Argument, catalogue, forms, given, meant

SCHEMA = {
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "description": "a file"},
        "lines": {"type": "integer", "default": 10, "minimum": 1, "maximum": 100},
        "share": {"type": "number"},
        "all": {"type": "boolean", "default": False},
        "quiet": {"type": "boolean"},
        "level": {"enum": ["low", "high"], "default": "low"},
        "size": {"enum": [1, 2]},
        "names": {"type": "array", "items": {"type": "string"}},
        "kinds": {"type": "array", "items": {"enum": ["a", "b"]}},
        "counts": {"type": "array", "items": {"type": "integer"}, "default": [1]},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "pace": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "of": {"$ref": "#/$defs/Of"},
        "odd": {},
    },
    "$defs": {"Of": {"enum": ["here", "there"]}},
}


def fields(schema: object = SCHEMA) -> list[Argument]:
    (only,) = forms(schema).values()
    return list(only)


def by_name(schema: object = SCHEMA) -> dict[str, Argument]:
    return {field.name: field for field in fields(schema)}


def test_a_schema_becomes_fields() -> None:
    assert {name: field.kind for name, field in by_name().items()} == {
        "path": "text",
        "lines": "whole",
        "share": "number",
        "all": "boolean",
        "quiet": "choice",
        "level": "choice",
        "size": "choice",
        "names": "list",
        "kinds": "list",
        "counts": "json",
        "limit": "whole",
        "pace": "loose",
        "of": "choice",
        "odd": "text",
    }
    assert by_name()["path"] == Argument("path", "text", required=True, help="a file")


def test_defaults_choices_and_bounds_are_those_of_the_schema() -> None:
    found = by_name()
    assert (found["lines"].default, found["lines"].least, found["lines"].most) == (10, 1, 100)
    assert (found["level"].choices, found["level"].default) == (("low", "high"), "low")
    assert found["size"].choices == (1, 2)
    assert found["kinds"].choices == ("a", "b")
    assert found["of"].choices == ("here", "there")
    assert found["counts"].default == [1]


@pytest.mark.parametrize("model", [CollectArgs, IntervalArgs, FilesArgs, ProcessesArgs])
def test_the_commands_of_our_agent_have_a_field_for_each_argument(model: type[msgspec.Struct]) -> None:
    (schema,), definitions = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    found = by_name({**schema, "$defs": definitions})
    assert list(found) == list(model.__struct_fields__)
    assert "json" not in {field.kind for field in found.values()}


def test_alternatives_are_forms_of_their_own() -> None:
    one = {"properties": {"name": {"const": "df"}, "path": {"type": "string"}}, "required": ["name", "path"]}
    other = {"properties": {"name": {"const": "uptime"}}, "required": ["name"]}
    found = forms({"oneOf": [one, other]})
    assert list(found) == ["df", "uptime"]
    assert given(found["df"], {"path": "/"}) == {"name": "df", "path": "/"}
    assert given(found["uptime"], {}) == {"name": "uptime"}


@pytest.mark.parametrize("schema", [None, {}])
def test_no_schema_is_no_fields(schema: object) -> None:
    assert fields(schema) == []


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["#/$defs/a", "string", "array"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["properties", "required", "oneOf", "anyOf", "enum", "items", "type", "$ref", "$defs", "a", "const"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@having(_anything)
def test_whatever_a_node_says_of_its_arguments_gives_a_form(schema: object) -> None:
    assert forms(schema)


@pytest.mark.parametrize("schema", [{"properties": 5}, {"properties": {"x": 5}}, "text", {"oneOf": [1]}])
def test_where_a_schema_cannot_be_understood_arguments_are_given_freely(schema: object) -> None:
    assert forms(schema) == {"": FREE}
    assert given(FREE, {"arguments": '{"a": 1}'}) == {"a": 1}
    assert given(FREE, {"arguments": ""}) == {}
    with pytest.raises(ValueError, match=r"^arguments must be a JSON object"):
        given(FREE, {"arguments": "[1]"})


def test_what_was_filled_in_becomes_arguments_and_defaults_are_left_to_the_node() -> None:
    values = {
        "path": "/var/x",
        "lines": 20.0,
        "share": None,
        "all": False,
        "quiet": None,
        "level": "low",
        "size": 2,
        "names": ["x", "y"],
        "kinds": [],
        "counts": "[1]",
        "limit": None,
        "pace": "2.5",
    }
    args = given(fields(), values)
    assert args == {"path": "/var/x", "lines": 20, "size": 2, "names": ["x", "y"], "pace": 2.5}
    assert isinstance(args["lines"], int)


def test_no_and_nought_are_sent_where_they_are_not_what_the_node_does_anyway() -> None:
    schema = {"properties": {"all": {"type": "boolean", "default": True}, "n": {"type": "integer", "default": 5}}}
    assert given(fields(schema), {"all": False, "n": 0}) == {"all": False, "n": 0}
    assert given(fields({"properties": {"all": {"type": "boolean"}}}), {"all": False}) == {"all": False}


@pytest.mark.parametrize(("text", "sent"), [("30", 30.0), ("30s", "30s")])
def test_what_may_be_a_number_or_text_is_a_number_where_it_reads_as_one(text: str, sent: object) -> None:
    assert given(fields({"properties": {"pace": SCHEMA["properties"]["pace"]}}), {"pace": text}) == {"pace": sent}  # type: ignore[index]  # a document


@pytest.mark.parametrize("missing", [{}, {"path": None}, {"path": ""}])
def test_what_is_required_and_missing_is_named(missing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^path must be given\.$"):
        given(fields(), missing)


def test_what_is_no_json_is_named_with_the_place() -> None:
    with pytest.raises(ValueError, match=r"^counts is no JSON: .* at character 1\.$"):
        given(fields(), {"path": "x", "counts": "[oops"})


def test_what_is_required_is_sent_even_if_it_is_the_default() -> None:
    schema = {"required": ["n"], "properties": {"n": {"type": "integer", "default": 1}}}
    assert given(fields(schema), {"n": 1}) == {"n": 1}


def test_commands_that_a_node_refuses_are_not_offered_and_ping_is_first() -> None:
    info = {
        "commands": [
            {"name": "disk-usage", "allowed": True},
            {"name": "reboot", "allowed": False},
            {"name": "cancel", "allowed": True},
            {"name": "ping", "allowed": True},
        ]
    }
    assert list(catalogue(info)) == ["ping", "disk-usage"]


@pytest.mark.parametrize("info", [{}, {"commands": 5}, {"commands": [5, {}, {"name": 5, "allowed": True}]}])
def test_a_node_that_says_nothing_sound_of_its_commands_has_none(info: dict[str, Any]) -> None:
    assert catalogue(info) == {}


NODES = [
    {"node": "lab-1", "groups": ["lab"]},
    {"node": "lab-2", "groups": ["lab", "new"]},
    {"node": "boiler", "groups": []},
]


@pytest.mark.parametrize(
    ("selectors", "nodes"),
    [
        (["group:lab"], ["lab-1", "lab-2"]),
        (["group:n*", "boiler"], ["boiler", "lab-2"]),
        (["lab-*"], ["lab-1", "lab-2"]),
        (["ghost"], []),
        ([], []),
    ],
)
def test_nodes_are_meant_by_name_pattern_and_group(selectors: list[str], nodes: list[str]) -> None:
    assert meant(selectors, NODES) == nodes
