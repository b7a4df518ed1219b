"""Threads for the app's workers that forget what they have worked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from typing import Any


class Threads(ThreadPoolExecutor):
    """Runs each call in a context of its own.

    Textual notes a thread's worker in a context variable. In the thread's own context that would keep each thread's
    last worker, and the closed screen that it belonged to, for as long as the thread waits for more.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(Context().run, fn, *args, **kwargs)
