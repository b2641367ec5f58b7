"""Where the commands print: nothing that comes from a server, a manifest or a file does more there than be read."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from lookalike.escape import escape


class PlainConsole(Console):
    """A console for text of others: no markup, no emoji codes, and nothing in it controls the terminal."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - rich's own
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Take a string for text, wherever it is printed."""
        return super().render_str(escape(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, and escape text that was styled before."""
        return super().render(_escaped(renderable) if isinstance(renderable, Text) else renderable, options)


def _escaped(text: Text) -> Text:
    """The same text with the same styles."""
    if escape(text.plain) == text.plain:
        return text
    made = text.blank_copy()
    for character in text.divide(range(1, len(text))):
        harmless = escape(character.plain)
        made.append_text(character if harmless == character.plain else Text(harmless))
    return made
