"""Make text of others harmless in a log, on a terminal, in a report.

Nothing in it begins a line of its own, moves a cursor, colours what follows, or turns the direction of writing. What
is to be read as it is by programs is not changed by this, but encoded, as JSON does.
"""

import json
import re
from typing import Final

_HOSTILE: Final = (
    "\x00-\x1f\x7f-\x9f"  # control characters: lines, escape sequences
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # which turn the direction of writing
    "\u200b\u2060-\u2065\ufeff\U000e0000-\U000e007f"  # which nobody sees
    "\u2028\u2029"  # lines and paragraphs
    "\ufff9-\ufffb\ud800-\udfff"  # annotations, and what is no text at all
)
_ANY: Final = re.compile(f"[{_HOSTILE}]")
_BUT_LINES: Final = re.compile(f"(?!\n)[{_HOSTILE}]")


def escape(text: str) -> str:
    r"""Return the text in one line, harmless: a line feed becomes `\n`, an escape `\x1b`."""
    return _ANY.sub(_escaped, text)


def escape_lines(text: str, indent: str = "") -> str:
    """Do the same for text with lines of its own, such as a traceback. Each line is indented, so it is no record."""
    return "\n".join(indent + line for line in _BUT_LINES.sub(_escaped, text).split("\n"))


def escape_json(text: str) -> str:
    """Return JSON that is as harmless, and says the same."""
    return _BUT_LINES.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
