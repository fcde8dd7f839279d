"""torchrun, with its arguments, that ends as the processes do that it starts: with their last line and their status.

torchrun itself ends with a traceback and status 1 when it is asked to end, or when one of them stops with a line of its
own. On SIGTERM it hands the signal on and waits, `--shutdown-timeout` seconds at most, for them to save.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from scripts.common.errors import entry_point

# What a shell adds to the number of the signal that ended a process.
KILLED_BY = 128


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    return run.parse_args(argv)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        run.run(args)
    except SignalException as asked:
        sys.exit(os.EX_TEMPFAIL if asked.sigval == signal.SIGTERM else KILLED_BY + asked.sigval)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        sys.exit(failure.exitcode if failure.exitcode > 0 else KILLED_BY - failure.exitcode)


if __name__ == "__main__":
    main()
