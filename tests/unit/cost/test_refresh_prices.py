"""`make prices`, against a loopback server that serves the catalogue under SkyPilot's path."""

from __future__ import annotations

import functools
import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common.config import schema_problems
from scripts.cost import refresh_prices

ROOT = Path(__file__).parents[3]
EXTRACT = Path(__file__).parent / "gcp_vms_extract.csv"
PATH = "catalogs/v8/gcp/vms.csv"


@pytest.fixture
def hardware(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "resources/hardware.yaml", tmp_path / "hardware.yaml"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Address of a server of `tmp_path`/site."""
    (tmp_path / "site" / PATH).parent.mkdir(parents=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def refresh(hardware: Path, catalogue: str, *flags: str) -> None:
    refresh_prices.main(["--hardware", str(hardware), "--catalogue", catalogue, "--date", "today", *flags])


def prices(path: Path) -> list[dict[str, Any]]:
    return [price for entry in yaml.safe_load(path.read_text()).values() for price in entry["prices"]]


def published(path: Path) -> list[dict[str, Any]]:
    return [price for price in prices(path) if price["source"].startswith("paper")]


def commitments(path: Path) -> list[dict[str, Any]]:
    return [price for price in prices(path) if price["kind"].startswith("commitment")]


def test_prices_come_from_the_url_and_say_so(hardware: Path, site: str, tmp_path: Path) -> None:
    shutil.copy(EXTRACT, tmp_path / "site" / PATH)
    before = hardware.read_text()
    refresh(hardware, f"{site}/{PATH}")
    after = yaml.safe_load(hardware.read_text())
    assert schema_problems(after, "hardware.schema.json") == []
    spot = next(p for p in after["tpu-v5p-8"]["prices"] if p["kind"] == "spot" and p["region"] == "us-east5")
    assert spot["per_hour"] == 5.19981
    assert (spot["date"], spot["source"]) == ("today", f"SkyPilot catalogue: {site}/{PATH}")
    assert [line for line in hardware.read_text().splitlines() if line.startswith("#")] == [
        line for line in before.splitlines() if line.startswith("#")
    ]


def test_the_published_prices_stay_first(hardware: Path) -> None:
    before = published(hardware)
    assert [price["per_hour"] for price in before] == [16.8, 21.52, 22.12]
    refresh(hardware, str(EXTRACT))
    assert published(hardware) == before
    entries = yaml.safe_load(hardware.read_text())
    assert entries["tpu-v6e-8"]["prices"][0]["source"] == "paper, section 2.2"


def test_a_second_refresh_changes_nothing(hardware: Path) -> None:
    refresh(hardware, str(EXTRACT))
    once = hardware.read_text()
    refresh(hardware, str(EXTRACT))
    assert hardware.read_text() == once


def test_regions_are_listed_as_asked(hardware: Path) -> None:
    refresh(hardware, str(EXTRACT), "--regions", "us-central1")
    listed = yaml.safe_load(hardware.read_text())["tpu-v5p-8"]["prices"]
    fetched = [price for price in listed if "SkyPilot" in price["source"]]
    assert [price["region"] for price in fetched] == ["us-central1", "us-central1"]


def test_commitments_which_the_catalogue_lacks_stay(hardware: Path) -> None:
    before = commitments(hardware)
    assert {price["kind"] for price in before} == {"commitment_1_year", "commitment_3_years"}
    refresh(hardware, str(EXTRACT))
    assert commitments(hardware) == before


def test_a_machine_that_no_asked_region_has_is_named(hardware: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        refresh(hardware, str(EXTRACT), "--regions", "us-east1")
    assert "laptop: no price of e2-standard-2 in us-east1; the catalogue has europe-west4" in capsys.readouterr().err


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the catalogue cannot be fetched (404"),
        ("<html>sign in</html>", "not SkyPilot's catalogue: its first line has no column InstanceType"),
        (EXTRACT.read_text().replace("tpu-v5p-8", "tpu-v5q-8"), "tpu-v5p-8: the catalogue has no believable price"),
    ],
)
def test_a_catalogue_that_is_none_leaves_the_file(
    hardware: Path, site: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "site" / PATH).write_text(content)
    before = hardware.read_bytes()
    with pytest.raises(SystemExit) as status:
        refresh(hardware, f"{site}/{PATH}")
    error = capsys.readouterr().err
    assert status.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert hardware.read_bytes() == before


def test_no_network_is_one_line_and_leaves_the_file(hardware: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hardware.read_bytes()
    with pytest.raises(SystemExit):
        refresh(hardware, f"http://127.0.0.1:{unused_port()}/{PATH}")
    error = capsys.readouterr().err
    assert "the catalogue cannot be fetched" in error
    assert "--catalogue PATH" in error
    assert error.count("\n") == 1
    assert hardware.read_bytes() == before


@pytest.mark.parametrize("text", [None, "laptop: [", "laptop: {label: x}\n"])
def test_a_hardware_file_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    path = tmp_path / "hardware.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit):
        refresh(path, str(EXTRACT))
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ")
    assert error.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(hardware: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        refresh(hardware, "/nowhere/vms.csv")
    assert "/nowhere/vms.csv: the catalogue cannot be read" in capsys.readouterr().err
