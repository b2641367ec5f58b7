"""Choose images to rank or list, by conditions on their references."""

import json
from dataclasses import dataclass
from typing import Final

Label = tuple[str, str]

NO_CONDITION: Final = "true"
"""What all references meet, in SQL."""


@dataclass(frozen=True)
class Filter:
    """A filter has conditions, all of which one reference of an image must meet. Empty or None means no condition."""

    products: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    staged: bool | None = None
    uri_prefix: str = ""
    labels: tuple[tuple[Label, ...], ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any condition."""
        return bool(self.products or self.variants or self.labels or self.uri_prefix) or self.staged is not None

    def conditions(self, table: str, first_parameter: int) -> tuple[str, list[object]]:
        """Return the conditions in SQL, and the arguments of their parameters.

        Args:
            table: the statement's name for the references.
            first_parameter: the number of the first parameter.

        Returns:
            Text that follows a WHERE (NO_CONDITION if there are none), and the arguments.
        """
        terms: list[str] = []
        arguments: list[object] = []

        def parameter(argument: object) -> str:
            arguments.append(argument)
            return f"${first_parameter + len(arguments) - 1}"

        if self.products:
            terms.append(f"{table}.product = ANY ({parameter(list(self.products))}::text[])")
        if self.variants:
            terms.append(f"{table}.variant = ANY ({parameter(list(self.variants))}::text[])")
        if self.staged is not None:
            terms.append(f"{table}.staged = {parameter(self.staged)}::boolean")
        if self.uri_prefix:
            terms.append(f"{table}.uri ^@ {parameter(self.uri_prefix)}::text")
        for group in self.labels:
            alternatives = [json.dumps({name: value}) for name, value in group]  # one term for all is planned faster
            terms.append(f"{table}.labels @> ANY ({parameter(alternatives)}::text[]::jsonb[])")
        return " AND ".join(terms) or NO_CONDITION, arguments
