"""SIGTERM as a request: a training run saves at the end of its optimizer step, then ends."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from scripts.common.errors import Stopped


class StopRequest:
    """Whether the process has been asked to end.

    From `listening` on, SIGTERM raises Stopped at once; within `deferred` it only sets `requested`, for the training
    loop to look at when its state is whole.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            yield self
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _on_signal(self, *_: Any) -> None:
        self.requested = True
        if not self._deferred:
            raise Stopped("SIGTERM outside of the training steps: there was nothing to save")
