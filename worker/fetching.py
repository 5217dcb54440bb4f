"""Asking for many instruments in a few threads, so that one that hangs delays no other."""

from __future__ import annotations

import contextvars
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from tailwatch.market.sources import Outcome

#: What was fetched is handed out to be kept at least this often, so that a page sees prices arrive.
HAND_OUT_SECONDS: Final = 1.0
#: As many bars are handed out at once: some 50 MB.
MOST_BARS: Final = 50_000


def in_threads(
    ask: Callable[[int], Outcome], ids: Iterable[int], threads: int, *, seconds: float, first_alone: bool
) -> Generator[dict[int, Outcome]]:
    """Yield what came of asking for each, by id, about once a second.

    Args:
        ask: Asks for one; never raises. Runs in threads, this generator in the caller's.
        ids: Asked for in this order; answers come as they come.
        threads: Requests that are under way at once.
        seconds: After this time nothing more is begun; what was not asked for is missing from what is yielded.
        first_alone: Begin with one: whether a source is back is for one request to find out.
    """
    waiting, until = deque(ids), time.monotonic() + seconds
    # One each that waits, so that threads are not idle while answers are kept, and answers never pile up.
    most = 1 if first_alone else 2 * threads
    under_way: dict[Future[Outcome], int] = {}
    outcomes: dict[int, Outcome] = {}
    handed_out = time.monotonic()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prices")
    try:
        while waiting or under_way:
            while waiting and len(under_way) < most:
                # With the context of the task, whose lines of the log they write.
                future = pool.submit(contextvars.copy_context().run, ask, waiting[0])
                under_way[future] = waiting.popleft()
            left = max(0.0, handed_out + HAND_OUT_SECONDS - time.monotonic()) if outcomes else None
            answered, _ = wait(under_way, timeout=left, return_when=FIRST_COMPLETED)
            for future in answered:
                outcomes[under_way.pop(future)] = future.result()
                most = 2 * threads
            if time.monotonic() > until:
                waiting.clear()
            if outcomes and (
                not (waiting or under_way)
                or time.monotonic() - handed_out > HAND_OUT_SECONDS
                or sum(len(one.history.bars) for one in outcomes.values() if one.history) > MOST_BARS
            ):
                yield outcomes
                outcomes, handed_out = {}, time.monotonic()
    finally:
        # Those that are under way come to their own end, and nobody looks at it.
        pool.shutdown(wait=False, cancel_futures=True)
