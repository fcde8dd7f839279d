"""How an entry script ends when the user, not the code, must change something."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Sequence
from typing import Protocol


class UserError(Exception):
    """A mistake or a missing piece outside the code. The message names the file, the row or key, what was found and
    what to do; it is shown as one line."""


class Stopped(Exception):
    """The step was asked to end and has saved what it had; the message says where it goes on."""


class Main(Protocol):
    """An entry script's `main`: arguments as a list, or the command line's."""

    def __call__(self, argv: Sequence[str] | None = None) -> None: ...


def entry_point(main: Main) -> Main:
    """Decorates an entry script's `main`: a UserError becomes one line on stderr and exit status 2, Stopped one line
    and the status of sysexits.h that invites to run the same again (75, EX_TEMPFAIL)."""

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> None:
        try:
            main(argv)
        except UserError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(2)
        except Stopped as stopped:
            # What ended this process may have ended the reader of its log, too.
            with contextlib.suppress(BrokenPipeError):
                print(f"stopped: {stopped}; run the same command again to go on", file=sys.stderr)
            sys.exit(os.EX_TEMPFAIL)

    return guarded
