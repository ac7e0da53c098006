"""Threads for what blocks, so that the program goes on meanwhile.

Not the event loop's own (asyncio.to_thread): the SDK has as many as four times `--parallel`, and keeps one for each
resource until the engine is done with it. A hook that needs one more waits for a resource that waits for the hook:
`pulumi up --parallel 1` then stands still for ever.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(thread_name_prefix="pgstack")


async def in_thread(run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `run(*args, **kwargs)` returns or raises, without holding up anything else."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: run(*args, **kwargs))
