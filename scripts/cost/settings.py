"""What the costs depend on besides what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.common.prices import Price
from scripts.common.units import Quantity, quantity
from scripts.cost.workload import Conditions


@dataclass(frozen=True)
class ArmHardware:
    """Which hardware entries an arm uses; `train` is None for an untuned arm."""

    name: str
    train: str | None
    serve: str

    @property
    def used(self) -> tuple[str, ...]:
        return tuple(name for name in (self.train, self.serve) if name is not None)


@dataclass(frozen=True)
class Ranges:
    """Low and high of what the sensitivity varies: the price by a factor, the utilisation, interruptions an hour."""

    price_factors: tuple[float, ...]
    utilisations: tuple[float, ...]
    interruptions_per_hour: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, ends in vars(self).items():
            if len(ends) != 2 or ends[0] >= ends[1]:
                raise ValueError(f"{name}: expected a low and a higher end, found {list(ends)}")


@dataclass(frozen=True)
class Settings:
    """Prices by hardware entry (`spot_prices`: what it costs as a spot machine, or None), and the cases to work out."""

    prices: dict[str, Price]
    spot_prices: dict[str, Price | None]
    serving_hours: tuple[float, ...]
    output_tokens_millions: tuple[float, ...]
    utilisation: float
    sustained_share: float
    interruptions_per_hour: float
    checkpoint_interval_steps: int
    sensitivity: Ranges
    arms: tuple[ArmHardware, ...]

    def __post_init__(self) -> None:
        used = {entry for arm in self.arms for entry in arm.used}
        if used - set(self.prices):
            raise ValueError(f"prices: none of {', '.join(sorted(used - set(self.prices)))}")

    def price_of(self, hardware: str | None) -> Quantity:
        """The hourly price of a hardware entry."""
        return quantity(self.prices[str(hardware)].usd_per_hour, "USD/hour")

    def conditions(self, arm: ArmHardware) -> Conditions:
        """The configured ones. Only machines at the spot price are taken away."""
        spot = any(self.prices[name].kind == "spot" for name in arm.used)
        return Conditions(
            training_price=self.price_of(arm.train) if arm.train else None,
            serving_price=self.price_of(arm.serve),
            utilisation=self.utilisation,
            interruptions=quantity(self.interruptions_per_hour if spot else 0, "1/hour"),
        )

    def spot_conditions(self, arm: ArmHardware, interruptions_per_hour: float) -> Conditions | None:
        """The same at spot prices, with interruptions; None where a machine of the arm has no known spot price."""
        spots = {name: self.spot_prices.get(name) for name in arm.used}
        if None in spots.values():
            return None
        prices = {name: quantity(spot.usd_per_hour, "USD/hour") for name, spot in spots.items() if spot}
        return Conditions(
            training_price=prices[arm.train] if arm.train else None,
            serving_price=prices[arm.serve],
            utilisation=self.utilisation,
            interruptions=quantity(interruptions_per_hour, "1/hour"),
        )
