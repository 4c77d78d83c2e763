from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.settings_file import KeyPath, dotted, key_lines

SAMPLE = """\
# comment = 1
state = "var"   # [not.a.table]
mqtt.port = 1883

[store]
'kind' = 'duck'
"quoted \\" key" . x = 1979-05-27 07:32:00
retention = { raw = "30d", "logs" = { keep = [1, 2] } }

[[sources]]
filter = \"\"\"
[fake]
x = 1
\"\"\"
list = [ # comment ]
  1,
  { a = 1, b = ["]", '#'] },
]
[sources.sub]
z = '''it's ''''
[[sources]]
filter = "second"
sub.w = 1
[sources.deep.er]
[store.retention2]
[a.b]
[a]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("state",), 2),
        (("mqtt",), 3),
        (("mqtt", "port"), 3),
        (("store",), 5),
        (("store", "kind"), 6),
        (("store", 'quoted " key', "x"), 7),
        (("store", "retention", "raw"), 8),
        (("store", "retention", "logs", "keep", 1), 8),
        (("sources",), 10),
        (("sources", 0, "filter"), 11),
        (("sources", 0, "list"), 15),
        (("sources", 0, "list", 0), 16),
        (("sources", 0, "list", 1, "b"), 17),
        (("sources", 0, "sub"), 19),
        (("sources", 0, "sub", "z"), 20),
        (("sources", 1), 21),
        (("sources", 1, "filter"), 22),
        (("sources", 1, "sub", "w"), 23),
        (("sources", 1, "deep", "er"), 24),
        (("store", "retention2"), 25),
        (("a", "b"), 26),
        (("a",), 27),
    ],
)
def test_each_form_of_key_has_the_line_it_stands_on(path: KeyPath, line: int) -> None:
    assert key_lines(SAMPLE)[path] == line


def test_lines_count_the_same_with_carriage_returns() -> None:
    assert key_lines(SAMPLE.replace("\n", "\r\n")) == key_lines(SAMPLE)


def test_an_empty_text_has_no_keys() -> None:
    assert key_lines("") == key_lines("# only this") == {}


def test_a_path_is_shown_as_people_write_it() -> None:
    assert dotted(("sources", 0, "filter")) == "sources[0].filter"


# A writer of TOML that notes the line of each leaf; tomllib says whether it wrote the document it meant.


@dataclass
class _Writer:
    draw: Any
    lines: list[str] = field(default_factory=list)
    leaves: dict[KeyPath, int] = field(default_factory=dict)

    @property
    def here(self) -> int:
        """The number of the line that is written next."""
        return sum(line.count("\n") + 1 for line in self.lines) + 1

    def key(self, name: str) -> str:
        plain = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
        return name if plain and self.draw(st.booleans()) else json.dumps(name)

    def value(self, value: Any, path: KeyPath, offset: int = 0) -> str:
        """The text of a value that starts ``offset`` lines below the current one."""
        if isinstance(value, dict):
            parts = []
            for name, below in value.items():
                text = self.value(below, (*path, name), offset)
                offset += text.count("\n")
                parts.append(f"{self.key(name)} = {text}")
            return "{ " + ", ".join(parts) + " }" if parts else "{}"
        if isinstance(value, list):
            return self.array(value, path, offset)
        self.leaves[path] = self.here + offset
        if isinstance(value, str):
            return str(self.draw(st.sampled_from(_quotings(value))))
        return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)

    def array(self, value: list[Any], path: KeyPath, offset: int) -> str:
        text = "["
        for index, below in enumerate(value):
            text += self.draw(st.sampled_from(["", " ", "\n", "\n# ] comment\n  "]))
            text += self.value(below, (*path, index), offset + text.count("\n"))
            text += self.draw(st.sampled_from([",", " ,", ", # , ]\n"]))
        return f"{text}{self.draw(st.sampled_from([']', chr(10) + ']']))}"

    def table(self, table: dict[str, Any], path: KeyPath, header: str) -> None:
        below = {}
        for name, value in table.items():
            tables = isinstance(value, dict) or (isinstance(value, list) and value and _all_tables(value))
            if tables and self.draw(st.booleans()):
                below[name] = value
            elif isinstance(value, dict) and value and self.draw(st.booleans()):
                self.dotted(value, (*path, name), self.key(name))
            else:
                self.pair(self.key(name), value, (*path, name))
        for name, value in below.items():
            inner = f"{header}.{self.key(name)}" if header else self.key(name)
            elements = (
                [(f"[[{inner}]]", v, (*path, name, i)) for i, v in enumerate(value)]
                if isinstance(value, list)
                else [(f"[{inner}]", value, (*path, name))]
            )
            for line, element, place in elements:
                self.lines.append(line)
                self.table(element, place, inner)

    def dotted(self, table: dict[str, Any], path: KeyPath, key: str) -> None:
        for name, value in table.items():
            self.pair(f"{key}.{self.key(name)}", value, (*path, name))

    def pair(self, key: str, value: Any, path: KeyPath) -> None:
        text = self.value(value, path)
        comment = self.draw(st.sampled_from(["", " # x = 1", "\t"]))
        self.lines.append(f"{key} = {text}{comment}")


def _all_tables(value: list[Any]) -> bool:
    return all(isinstance(v, dict) for v in value)


def _quotings(text: str) -> list[str]:
    basic = json.dumps(text)
    forms = [basic, f'"""{basic[1:-1]}"""', '"""\n' + basic[1:-1].replace("\\n", "\n") + '"""']
    if "'" not in text and text.isprintable():
        forms += [f"'{text}'", f"'''\n{text}'''"]
    return forms


_names = st.sampled_from(["a", "b-1", "c_d", "7", "e.f", "g h", "#", "é", '"', "'", "[x]", "="])
_scalars = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text("ab \"'\n\\#[]{}=,", max_size=6), st.sampled_from([0.5, -1e3])
)
_tables = st.dictionaries(_names, st.one_of(_scalars, st.dictionaries(_names, _scalars, max_size=2)), max_size=3)
_trees = st.dictionaries(
    _names,
    st.lists(_tables, max_size=3)
    | st.recursive(
        _scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=5,
)


def _leaves(value: Any, path: KeyPath) -> dict[KeyPath, Any]:
    if isinstance(value, dict):
        return {p: v for k, below in value.items() for p, v in _leaves(below, (*path, k)).items()}
    if isinstance(value, list):
        return {p: v for i, below in enumerate(value) for p, v in _leaves(below, (*path, i)).items()}
    return {path: value}


@given(st.data(), _trees)
def test_every_leaf_of_any_document_has_the_line_it_was_written_on(data: st.DataObject, tree: dict[str, Any]) -> None:
    writer = _Writer(data.draw)
    writer.table(tree, (), "")
    text = "\n".join(writer.lines) + "\n"
    assert tomllib.loads(text) == tree
    found = key_lines(text)
    assert {path: found.get(path) for path in _leaves(tree, ())} == writer.leaves


@given(st.text("a=[]{}\"'\\\n#., 1", max_size=30))
@example('a = """"""')
@example("a = ''''''''")
@example('a = """x"""""')
@example('a = """\\"""x"""')
@example("a=[[],[[1],]]")
def test_every_text_that_tomllib_reads_is_scanned_to_the_same_leaves(text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = key_lines(text)
    assert set(_leaves(tree, ())) <= set(found)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
