"""Say what may be kept of an answer."""

from typing import Final

from fastapi import Depends, Response


async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


NO_STORE: Final = Depends(_no_store)
"""What is true now may not be in a moment."""
