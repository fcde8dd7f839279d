"""The formulas of cost: price times time, and what it buys. Units are in the names; section numbers are the paper's.

Times and amounts of zero are allowed where a price is multiplied, never where it is divided by them.
"""

from __future__ import annotations

SECONDS_PER_HOUR = 3600.0
TOKENS_PER_MILLION = 1e6


def hours(seconds: float) -> float:
    """`seconds` / 3600 [h]."""
    return _not_negative(seconds, "seconds") / SECONDS_PER_HOUR


def training_cost_usd(train_hours: float, usd_per_hour: float) -> float:
    """train_hours x usd_per_hour [USD]: the whole machine is paid for while the run lasts (section 5.4)."""
    return _not_negative(train_hours, "train_hours") * _positive(usd_per_hour, "usd_per_hour")


def usd_per_million(cost_usd: float, tokens: float) -> float:
    """cost_usd / (tokens / 10^6) [USD per million tokens] (section 5.4, cost per 1M tokens trained)."""
    return _not_negative(cost_usd, "cost_usd") / (_positive(tokens, "tokens") / TOKENS_PER_MILLION)


def tokens_per_hour(tokens_per_sec: float) -> float:
    """tokens_per_sec x 3600 [tokens/h] (section 8.6)."""
    return _not_negative(tokens_per_sec, "tokens_per_sec") * SECONDS_PER_HOUR


def usd_per_million_tokens(tokens_per_sec: float, usd_per_hour: float) -> float:
    """usd_per_hour / (tokens_per_sec x 3600 / 10^6) [USD per million tokens] (section 8.6)."""
    hourly_tokens = tokens_per_hour(_positive(tokens_per_sec, "tokens_per_sec"))
    return _positive(usd_per_hour, "usd_per_hour") / (hourly_tokens / TOKENS_PER_MILLION)


def tco_usd(training_usd: float, serving_hours: float, serving_usd_per_hour: float) -> float:
    """training_usd + serving_hours x serving_usd_per_hour [USD] (section 9): one training run, then serving."""
    serving_usd = _not_negative(serving_hours, "serving_hours") * _positive(serving_usd_per_hour, "usd_per_hour")
    return _not_negative(training_usd, "training_usd") + serving_usd


def _positive(value: float, name: str) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: expected a number above 0, found {value}")
    return value


def _not_negative(value: float, name: str) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}: expected a number of at least 0, found {value}")
    return value
