"""How an entry script ends when the user, not the code, must change something."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Protocol


class UserError(Exception):
    """A mistake or a missing piece outside the code. The message names the file, the row or key, what was found and
    what to do; it is shown as one line."""


class Main(Protocol):
    """An entry script's `main`: arguments as a list, or the command line's."""

    def __call__(self, argv: Sequence[str] | None = None) -> None: ...


def entry_point(main: Main) -> Main:
    """Decorates an entry script's `main`: a UserError becomes one line on stderr and exit status 2."""

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> None:
        try:
            main(argv)
        except UserError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(2)

    return guarded
