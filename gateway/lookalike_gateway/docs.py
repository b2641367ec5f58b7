"""Show the OpenAPI document to people: plain HTML without scripts, at /docs."""

import html
import json
from typing import Any

Json = dict[str, Any]


def page(document: Json) -> str:
    """Return the page as HTML."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    links = "".join(
        f'<li><a href="#{operation["operationId"]}"><code>{method}</code> {_text(operation["summary"])}</a>'
        for method, _, operation in operations
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Lookalike API</title><link rel="icon" href="assets/icon.svg"><link rel="stylesheet" href="assets/docs.css">
<header><h1>Lookalike API</h1><p>{_text(document["info"]["summary"])} Version {_text(document["info"]["version"])}.
<a href="openapi.json">openapi.json</a> · <a href="./">the page</a></p></header>
<nav aria-label="Operations"><ul>{links}</ul></nav>
<main>{"".join(_operation(*row) for row in operations)}<h2 id="schemas">What comes back</h2>{schemas}</main></html>"""


def _operation(method: str, path: str, operation: Json) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    body = f"<p>Body: {', '.join(f'<code>{_text(media)}</code>' for media in bodies)}</p>" if bodies else ""
    return f"""<section id="{operation["operationId"]}"><h2>{_text(operation["summary"])}</h2>
<p class="path"><b>{method}</b> <code>{_text(path)}</code></p><p>{_text(operation["description"])}</p>{body}
{_parameters(operation.get("parameters", []))}{_responses(operation["responses"])}</section>"""


def _parameters(parameters: list[Json]) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(item['name'])}</code><td>{item['in']}<td>{_kind(item['schema'])}<td>{_text(item['description'])}"
        for item in parameters
    )
    return f"<table><thead><tr><th>parameter<th>in<th>type<th>meaning<tbody>{rows}</table>" if rows else ""


def _responses(responses: Json) -> str:
    rows = "".join(
        f"<tr><td><code>{status}</code><td>{_media(response)}<td>{_text(response['description'])}"
        for status, response in responses.items()
    )
    return f"<table><thead><tr><th>status<th>answer<th>meaning<tbody>{rows}</table>"


def _media(response: Json) -> str:
    media, content = next(iter(response["content"].items()))
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    return f'<a href="#{name}">{name}</a>' if name else f"<code>{_text(media)}</code>"


def _schema(name: str, schema: Json) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(field)}</code><td>{_kind(field_schema)}<td>{_text(field_schema.get('description', ''))}"
        for field, field_schema in schema["properties"].items()
    )
    table = f"<table><thead><tr><th>field<th>type<th>meaning<tbody>{rows}</table>"
    return f'<section id="{name}"><h3>{name}</h3><p>{_text(schema["description"])}</p>{table}</section>'


def _kind(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    if schema["type"] == "object" and schema.get("properties"):
        return "; ".join(
            f"<code>{_text(name)}</code> {_kind(property_schema)}"
            for name, property_schema in schema["properties"].items()
        )
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    words = {"minimum": "≥ ", "maximum": "≤ ", "default": "default ", "maxItems": "at most ", "pattern": ""}
    further = [
        f"{prefix}<code>{_text(_value(schema[word]))}</code>"
        for word, prefix in words.items()
        if schema.get(word, "") != ""
    ]
    further += [f"one of {', '.join(f'<code>{_text(str(value))}</code>' for value in schema.get('enum', ()))}"] * (
        "enum" in schema
    )
    return ", ".join([" or ".join(names), *further])


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """Escaped; what is between backticks is code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
