"""The OpenAPI document as a page to read. It needs no network, and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 0 1rem 1rem; margin: 1rem 0; }
h2 code { font-size: 1.1rem; } code, pre { font-family: ui-monospace, monospace; background: var(--soft); }
code { padding: .1em .3em; border-radius: .2rem; } pre { padding: .7rem; overflow: auto; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0;
vertical-align: top; border-top: 1px solid var(--line); } summary { cursor: pointer; }
"""


def page(document: Mapping[str, Any]) -> str:
    """A page of HTML, without scripts.

    Examples
    --------
    >>> text = page({"info": {"title": "<b>", "version": "1", "description": ""}, "paths": {}, "components": {}})
    >>> "&lt;b&gt;" in text, "<script" in text, "//" in text.replace("</", "")
    (True, False, False)
    """
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        '<p>The same for programs: <a href="openapi.json"><code>/openapi.json</code></a>.</p>',
        *(section(path, method, one) for path, each in document["paths"].items() for method, one in each.items()),
        *schemas(document["components"].get("schemas", {})),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main>{''.join(parts)}</main>"
        "</body></html>"
    )


def section(path: str, method: str, one: Mapping[str, Any]) -> str:
    """What one path takes and answers."""
    rows = [(f"?{each['name']}", each["description"]) for each in one.get("parameters", ())]
    rows += [(media, said(each)) for media, each in one.get("requestBody", {}).get("content", {}).items()]
    answers = [
        (status, f"{each['description']} {', '.join(each.get('content', {}))}")
        for status, each in one["responses"].items()
    ]
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code> {escape(one['summary'])}</h2>"
        f"<p>{escape(one['description'])}</p>{table('Takes', rows)}{table('Answers', answers)}</section>"
    )


def said(content: Mapping[str, Any]) -> str:
    """What is said of a body."""
    schema = content["schema"]
    if "description" in schema:
        return str(schema["description"])
    return "A list of objects, one for each row; see Row." if schema["type"] == "array" else "Files."


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """Names and what they mean."""
    if not rows:
        return ""
    lines = (f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table><thead><tr><th>{title}</th><th></th></tr></thead><tbody>{''.join(lines)}</tbody></table>"


def schemas(named: Mapping[str, Any]) -> Iterator[str]:
    """The parts of bodies, as JSON."""
    for name, schema in named.items():
        text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f"<details><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>"
