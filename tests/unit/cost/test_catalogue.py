"""SkyPilot's catalogue, in rows that it has (v9, commit 2c3d7ea7d76b): sums of parts, amounts that are no prices."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.common.errors import UserError
from scripts.cost.catalogue import COLUMNS, MachineName, RegionPrice, believable, machine_prices, read_offers

EXTRACT = (Path(__file__).parent / "gcp_vms_extract.csv").read_text()
HEAD = "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice\n"
V5P = MachineName(None, "tpu-v5p-8", 1)
V6E = MachineName(None, "tpu-v6e-8", 1)
TWO_H100 = MachineName("a3-highgpu-2g", "H100", 2)
E2 = MachineName("e2-standard-2", None, None)


def prices(machine: MachineName, text: str = EXTRACT) -> dict[str, RegionPrice]:
    return {price.region: price for price in machine_prices(believable(read_offers(text, "vms.csv")), machine)}


def test_a_slice_costs_its_row() -> None:
    assert prices(V5P)["us-central1"] == RegionPrice("us-central1", 16.8, 3.12196)


def test_a_host_without_accelerators_costs_its_row() -> None:
    assert prices(E2)["us-central1"] == RegionPrice("us-central1", 0.06701, 0.03868)


def test_a_gpu_machine_costs_its_host_and_its_accelerators() -> None:
    found = prices(TWO_H100)["us-east4"]
    assert found.on_demand == pytest.approx(2.36502 + 19.5931)
    assert found.spot == pytest.approx(0.92019 + 7.6198)


def test_a_region_without_one_of_the_parts_has_no_price() -> None:
    assert "asia-northeast3" not in prices(TWO_H100)


def test_one_amount_for_slices_of_all_sizes_is_a_placeholder() -> None:
    found = prices(V6E)
    assert "asia-east1" not in found
    assert found["southamerica-west1"] == RegionPrice("southamerica-west1", 21.6, None)


def test_an_on_demand_amount_below_the_spot_amount_is_believed_nowhere() -> None:
    """In us-central1 two H100s cost 8.40 on demand and 10.68 at the spot price; asia-northeast1 repeats the 8.40."""
    assert sorted(prices(TWO_H100)) == ["europe-west4", "us-east4", "us-east5"]


def test_the_paper_s_price_of_a_v6e_8_is_none_of_the_catalogue_s() -> None:
    assert 21.52 not in [price.on_demand for price in prices(V6E).values()]
    assert prices(V6E)["asia-northeast1"].on_demand == 25.92


def test_zero_is_no_price() -> None:
    assert prices(MachineName("a4-highgpu-8g", None, None)) == {}


def test_of_several_zones_the_cheapest_is_taken() -> None:
    rows = ",,,tpu-v5p-8,1,tpu-v5p-8,r1,r1-a,17,5\n,,,tpu-v5p-8,1,tpu-v5p-8,r1,r1-b,16,4\n"
    assert prices(V5P, HEAD + rows) == {"r1": RegionPrice("r1", 16.0, 4.0)}


@pytest.mark.parametrize("column", COLUMNS)
def test_another_layout_is_named(column: str) -> None:
    with pytest.raises(UserError, match=f"its first line has no column {column}$"):
        read_offers(HEAD.replace(column, "Other", 1), "vms.csv")


@pytest.mark.parametrize("row", [",,,tpu-v5p-8,1,x,r1,r1-a,cheap,5\n", ",,,tpu-v5p-8,1\n"])
def test_a_broken_row_is_named_with_its_line(row: str) -> None:
    with pytest.raises(UserError, match=r"^vms\.csv:2: not a row of SkyPilot's catalogue"):
        read_offers(HEAD + row, "vms.csv")
