"""``/docs``: every operation on one page, made from the OpenAPI document.

FastAPI's own page loads its script from a host on the internet, which many hubs do not reach. This one is plain HTML
with its style in it: no script, no call to the outside.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse

from hub.api.headers import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8886; border-radius: .3rem; }
details { border: 1px solid #8886; border-radius: .3rem; margin: .4rem 0; padding: .3rem .7rem; }
summary { cursor: pointer; } summary b { display: inline-block; min-width: 4.2rem; }
table { border-collapse: collapse; width: 100%; } td { padding: .2rem .6rem .2rem 0; vertical-align: top; }
.get b { color: #07c; } .post b { color: #284; } .delete b { color: #c33; } .open { opacity: .7; font-size: .85em; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": f"{SECURITY_HEADERS['Content-Security-Policy']}; style-src 'sha256-{_STYLE_HASH}'",
}
_CODE: Final = re.compile(r"`+(.+?)`+")
_DEEPEST: Final = 6
_PLAIN: Final = {"integer": 0, "number": 21.5, "boolean": True, "string": "…"}

#: An object of the OpenAPI document.
_Node = dict[str, Any]


def docs_response(app: FastAPI) -> HTMLResponse:
    """The page for ``app``."""
    return HTMLResponse(page(app.openapi()), headers=_HEADERS)


def page(document: Mapping[str, Any]) -> str:
    """HTML that lists the operations of an OpenAPI document."""
    info = document["info"]
    title = f"{info['title']} {info['version']}"
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation.get("tags", ["other"])[0], []).append(
                _operation(path, method, operation, document)
            )
    sections = "".join(f"<h2>{_e(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_e(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{_e(title)}</h1>{_paragraphs(info.get('description', ''))}"
        f'<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>{sections}</body></html>'
    )


# -- private -----------------------------------------------------------------------------------------------------------


def _operation(path: str, method: str, operation: _Node, document: Mapping[str, Any]) -> str:
    open_to_all = "" if operation.get("security") else ' <span class="open">no token needed</span>'
    description = operation.get("description", "")
    first, _, rest = description.partition("\n\n")
    head = f"<b>{_e(method.upper())}</b> <code>{_e(path)}</code> {_inline(first)}{open_to_all}"
    parts = [f'<details class="{_e(method)}"><summary>{head}</summary>', _paragraphs(rest)]
    if parameters := operation.get("parameters"):
        rows = "".join(_parameter(one, document) for one in parameters)
        parts.append(f"<h4>Parameters</h4><table>{rows}</table>")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h4>Body: {_e(media)}</h4>{_sample(content, document)}")
    for status, answer in operation.get("responses", {}).items():
        if status == "default":
            continue
        forms = answer.get("content", {})
        parts.append(f"<h4>{_e(status)}: {_e(', '.join(forms) or 'no body')}</h4>")
        parts.extend(_sample(content, document) for media, content in forms.items() if media == "application/json")
    parts.append("</details>")
    return "".join(parts)


def _parameter(parameter: _Node, document: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    allowed = ", ".join(_allowed(schema, document))
    default = f"default <code>{_e(str(schema['default']))}</code>" if schema.get("default") is not None else ""
    told = parameter.get("description") or schema.get("description") or ""
    return (
        f"<tr><td><code>{_e(parameter['name'])}</code></td><td>{_e(parameter['in'])}</td>"
        f"<td>{_inline(told)} {_e(allowed)} {default}</td></tr>"
    )


def _allowed(schema: _Node, document: Mapping[str, Any]) -> Iterator[str]:
    schema = _resolved(schema, document)
    yield from schema.get("enum", ())
    for other in schema.get("anyOf", ()):
        yield from _allowed(other, document)


def _sample(content: _Node, document: Mapping[str, Any]) -> str:
    shown = json.dumps(_example(content.get("schema", {}), document, 0), indent=2, ensure_ascii=False)
    return f"<pre>{_e(shown)}</pre>"


def _example(schema: _Node, document: Mapping[str, Any], depth: int) -> Any:
    """A value of the shape that ``schema`` describes."""
    schema = _resolved(schema, document)
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema or depth > _DEEPEST:
        return "|".join(map(str, schema.get("enum", "…")))
    if choices := schema.get("anyOf"):
        return _example(choices[0], document, depth + 1)
    if schema.get("type") == "array":
        return [_example(schema.get("items", {}), document, depth + 1)]
    if schema.get("type") == "object":
        named = {name: _example(one, document, depth + 1) for name, one in schema.get("properties", {}).items()}
        others = schema.get("additionalProperties")
        return named or ({"…": _example(others, document, depth + 1)} if isinstance(others, dict) else {})
    return _PLAIN.get(schema.get("type", ""))


def _resolved(schema: _Node, document: Mapping[str, Any]) -> _Node:
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
    return schema


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", _e(text))


def _e(text: str) -> str:
    return html.escape(text)
