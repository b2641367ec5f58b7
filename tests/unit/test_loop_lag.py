"""How late an event loop is, as it is measured on it."""

import asyncio
import time

from lookalike_serving import loop_lag


async def test_the_time_for_which_the_loop_was_blocked_is_observed() -> None:
    began = time.monotonic()
    lags, others = asyncio.Queue[float](), asyncio.Queue[float]()
    watching = asyncio.create_task(loop_lag.watch(lags.put_nowait, others.put_nowait))
    await asyncio.sleep(0)
    time.sleep(0.4)  # noqa: ASYNC251 - to block the loop is what this is about
    lag = await lags.get()
    assert 0.25 <= lag < time.monotonic() - began  # it was due after a tenth of a second
    assert await others.get() == lag
    watching.cancel()
    await asyncio.wait({watching})
