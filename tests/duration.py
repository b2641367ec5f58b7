"""How long the tests that look for rare events look for them."""

import os
from typing import Final

SECONDS: Final = float(os.environ.get("LOOKALIKE_TEST_SECONDS", "2"))
"""Of each such test, about. Set LOOKALIKE_TEST_SECONDS=60 before a release, or after a change of what writes."""
