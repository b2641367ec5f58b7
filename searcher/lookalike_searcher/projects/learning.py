"""Keep what a derived space was learned from, as JSON."""

import json
from dataclasses import asdict

from lookalike.records import Learning, MeasuredGain


def to_json(learning: Learning | None) -> str:
    """Return the JSON that the database keeps; an empty object if there is nothing to say."""
    return json.dumps(asdict(learning) if learning else {})


def of_json(text: str | None) -> Learning | None:
    """Return what was kept, or None if nothing was."""
    fields = json.loads(text) if text else {}
    if not fields:
        return None
    gain = fields.pop("gain")
    return Learning(**fields, gain=MeasuredGain(**gain) if gain else None)
