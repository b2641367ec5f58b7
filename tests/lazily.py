"""Modules that are imported when something of them is used: all processes read all tests, and few run these."""

import importlib
from typing import Any


class Lazily:
    """Stands for the module of this name. What is set in it is set in the module."""

    def __init__(self, name: str) -> None:
        self.__dict__["name_of_module"] = name

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 - whatever the module has
        return getattr(importlib.import_module(self.__dict__["name_of_module"]), attribute)

    def __setattr__(self, attribute: str, value: object) -> None:
        setattr(importlib.import_module(self.__dict__["name_of_module"]), attribute, value)

    def __delattr__(self, attribute: str) -> None:
        delattr(importlib.import_module(self.__dict__["name_of_module"]), attribute)
