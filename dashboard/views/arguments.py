"""The arguments of a command as widgets, from the JSON schema that a node publishes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard.data.commands import FREE, forms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.client import Document
    from dashboard.data.commands import Argument

#: Beyond it a browser does not count exactly, and Streamlit refuses the widget.
_EXACT: Final = 2**53 - 1


def chosen_form(command: Document | None, where: str) -> Sequence[Argument]:
    """The fields for ``command`` of a catalogue, None: of none; where its schema has alternatives, one is chosen."""
    offered = forms(command.get("args")) if command is not None else {"": FREE}
    name = st.selectbox("Which", list(offered), key=f"{where} which") if len(offered) > 1 else next(iter(offered))
    return offered[name]


def asked_values(fields: Sequence[Argument], where: str) -> dict[str, Any]:
    """A widget a field, with its default in it; what they hold, by the name of the field."""
    return {field.name: _widget(field, where) for field in fields if field.kind != "fixed"}


def _widget(field: Argument, where: str) -> Any:
    label, key, hint = field.name + (" *" if field.required else ""), f"{where} {field.name}", field.help or None
    if field.kind == "choice":
        index = field.choices.index(field.default) if field.default in field.choices else None
        return st.selectbox(
            label,
            field.choices,
            index=index,
            placeholder="choose one" if field.required else "as the node does by itself",
            key=key,
            help=hint,
        )
    if field.kind == "list":
        given = field.default if isinstance(field.default, list) else []
        return st.multiselect(
            label,
            list(dict.fromkeys([*field.choices, *given])),
            default=given,
            accept_new_options=not field.choices,
            placeholder="choose" if field.choices else "type one, Enter",
            key=key,
            help=hint,
        )
    if field.kind == "boolean":
        return st.checkbox(label, value=bool(field.default), key=key, help=hint)
    if field.kind in ("number", "whole"):
        return _number(field, label, key)
    if field.kind in ("json", "all"):
        shown = "" if field.default is None else json.dumps(field.default)
        return st.text_input(label, value=shown, key=key, help=hint or "JSON, such as [1, 2]")
    return st.text_input(label, value="" if field.default is None else str(field.default), key=key, help=hint)


def _number(field: Argument, label: str, key: str) -> float | None:
    hint = "a number" if field.required else "as the node does by itself"
    about = field.help or None
    least, most, value = (_exact(one) for one in (field.least, field.most, field.default))
    given: float | None
    if field.kind == "whole":
        low, high, now = (int(one) if one is not None else None for one in (least, most, value))
        given = st.number_input(label, low, high, now, 1, key=key, help=about, placeholder=hint)
    else:
        given = st.number_input(label, least, most, value, key=key, help=about, placeholder=hint)
    return given


def _exact(number: object) -> float | None:
    return float(number) if isinstance(number, int | float) and abs(number) <= _EXACT else None
