"""What it costs that a spot machine is taken away: work lost since the last checkpoint, and starting again.

Interruptions come at random at a constant rate (a Poisson process), during restarts too, and only time in which a
machine is there is paid. This is the complete model of J. T. Daly, "A higher order estimate of the optimum checkpoint
interval for restart dumps", Future Generation Computer Systems 22 (2006), with the writing of a checkpoint as part of
the work, since a measured run contains it; its first-order form is J. W. Young's, Communications of the ACM 17 (1974).
"""

from __future__ import annotations

import math

from scripts.common.units import RATE, TIME, UNITS, Quantity, not_negative, positive, quantity


@UNITS.check(TIME, TIME, TIME, RATE)
def paid_time(work: Quantity, checkpoint_interval: Quantity, restart: Quantity, interruptions: Quantity) -> Quantity:
    """Expected paid time [h] of `work` that is saved every `checkpoint_interval`, with `interruptions` an hour.

    A stretch of length t between two checkpoints takes e^(r R) (e^(r t) - 1) / r, where r is the rate of interruptions
    and R the `restart`; without interruptions, t. Raises OverflowError where a stretch hardly ever ends.
    """
    not_negative(work, "work")
    not_negative(restart, "restart")
    if not_negative(interruptions, "interruptions").magnitude == 0:
        return work.to("hour")
    stretches, rest = divmod(work.m_as("hour"), positive(checkpoint_interval, "checkpoint_interval").m_as("hour"))
    rate = interruptions.m_as("1/hour")
    slowed = math.exp(rate * restart.m_as("hour")) / rate
    hours = stretches * slowed * math.expm1(rate * checkpoint_interval.m_as("hour")) + slowed * math.expm1(rate * rest)
    if math.isinf(hours):
        raise OverflowError(f"{hours} hours")
    return quantity(hours, "hour")


@UNITS.check(TIME, RATE)
def productive_share(restart: Quantity, interruptions: Quantity) -> float:
    """Share of the paid time in which an interrupted server serves: e^(-r R), `paid_time` with no interval.

    A server loses no saved work, but each interruption is followed by a `restart` that is paid and serves nothing.
    """
    exponent = not_negative(interruptions, "interruptions") * not_negative(restart, "restart")
    return math.exp(-exponent.m_as(""))
