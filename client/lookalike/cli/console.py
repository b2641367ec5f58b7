"""Print text safely, so that text from a server, a manifest or a file cannot control the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from lookalike.escape import escape


class PlainConsole(Console):
    """PlainConsole prints text of others: without markup and emoji codes, and with control characters escaped."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - rich's own
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Escape a string, and take it as plain text."""
        return super().render_str(escape(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object, and escape text that already has styles."""
        return super().render(_escaped(renderable) if isinstance(renderable, Text) else renderable, options)


def _escaped(text: Text) -> Text:
    """Return the escaped text with the same styles."""
    if escape(text.plain) == text.plain:
        return text
    copy = text.blank_copy()
    for character in text.divide(range(1, len(text))):
        harmless = escape(character.plain)
        copy.append_text(character if harmless == character.plain else Text(harmless))
    return copy
