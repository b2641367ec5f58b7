"""Parameters are said once: the same lines read them from requests and write them into the OpenAPI document."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.requests import Request

from lookalike_gateway.problems import Refused, invalid

Schema = Mapping[str, Any]
Given = Mapping[str, Any]
"""What a request gave, by name; None, or an empty list, where it gave nothing and there is no default."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,12}")


@dataclass(frozen=True)
class Parameter:
    """A parameter is a part of the path or the query.

    Attributes:
        name: its name.
        schema: a JSON Schema, of the few words that `_scalar` knows.
        description: what it means.
        place: where it is.
        example: a value that shows it, for the document.
    """

    name: str
    schema: Schema
    description: str
    place: Literal["query", "path"] = "query"
    example: Any = None

    def described(self) -> dict[str, Any]:
        """Return the parameter in OpenAPI's words."""
        found = {
            "name": self.name,
            "in": self.place,
            "required": self.place == "path",
            "description": self.description,
            "schema": dict(self.schema),
        }
        return found if self.example is None else found | {"example": self.example}

    def read(self, request: Request) -> Any:  # noqa: ANN401 - whatever the schema says
        """Return its value in a request. Raises Refused."""
        if self.place == "path":
            return _scalar(self.name, self.schema, request.path_params[self.name])
        texts = request.query_params.getlist(self.name)
        if self.schema["type"] == "array":
            if len(texts) > self.schema["maxItems"]:
                raise invalid(self.name, f"must be given at most {self.schema['maxItems']} times", len(texts))
            return [_scalar(self.name, self.schema["items"], text) for text in texts]
        if len(texts) > 1:
            raise invalid(self.name, "must be given once", len(texts))
        return _scalar(self.name, self.schema, texts[0]) if texts else self.schema.get("default")


def read(parameters: Sequence[Parameter], request: Request) -> Given:
    """Return the values of all parameters.

    Raises:
        Refused: one breaks its schema, or there is one that we do not know: a filter with a typing error must not find
            everything.
    """
    known = {parameter.name for parameter in parameters if parameter.place == "query"}
    for name in request.query_params:
        if name not in known:
            raise invalid(name, f"is no parameter here; there are {', '.join(sorted(known)) or 'none'}", "it")
    return {parameter.name: parameter.read(request) for parameter in parameters}


def _scalar(name: str, schema: Schema, text: str) -> Any:  # noqa: ANN401
    match schema["type"]:
        case "boolean":
            if text not in ("true", "false"):
                raise invalid(name, "must be true or false", text)
            return text == "true"
        case "integer":
            if not _INTEGER.fullmatch(text):
                raise invalid(name, "must be an integer", text)
            return _between(name, schema, int(text))
        case "number":
            try:
                return _between(name, schema, float(text))
            except ValueError:
                raise invalid(name, "must be a number", text) from None
        case _:
            return _text(name, schema, text)


def _between(name: str, schema: Schema, value: float) -> float:
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if "enum" in schema and value not in schema["enum"]:
        raise invalid(name, f"must be one of {', '.join(map(str, schema['enum']))}", value)
    if not least <= value <= most:
        raise invalid(name, f"must be {least:g} to {most:g}", value)
    return value


def _text(name: str, schema: Schema, text: str) -> str:
    if "enum" in schema and text not in schema["enum"]:
        raise invalid(name, f"must be one of {', '.join(schema['enum'])}", text)
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if not least <= len(text) <= most:
        raise invalid(name, f"must be {least} to {most} characters", f"{len(text)} characters")
    if "pattern" in schema and not re.search(re.sub(r"\$$", r"\\Z", schema["pattern"]), text):  # else "\n" may follow
        raise invalid(name, f"must match {schema['pattern']}", text)
    return text


__all__ = ["Given", "Parameter", "Refused", "Schema", "read"]
