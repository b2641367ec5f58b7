"""Modules that are imported when something of them is used: all processes read all tests, and few run these."""

import importlib
from typing import Any


class Lazily:
    """Stands for the module of this name, to read from; `monkeypatch` is given full names instead.

    Private names are not read: pytest asks whatever is in a module of tests for some, to find fixtures and mocks.
    """

    def __init__(self, name: str) -> None:
        self._name_of_module = name

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 - whatever the module has
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name_of_module), attribute)
