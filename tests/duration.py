"""How long the tests that look for rare events look for them."""

import os
from typing import Final

_SHORT: Final = 1.0
SECONDS: Final = float(os.environ.get("LOOKALIKE_TEST_SECONDS", _SHORT))
"""Of each such test, about. `make test-long` says 60: before a release, or after a change of what writes."""
LONG: Final = SECONDS > _SHORT
"""Whether tests that need the real model for minutes take all their photos."""
