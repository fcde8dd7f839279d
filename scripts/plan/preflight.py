"""Before a training run: does this machine have what an arm needs? One line a check; exit status 2 when one fails."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec

from scripts.common.devices import HardwareKind, count_devices
from scripts.common.errors import UserError, entry_point
from scripts.common.settings import parse_settings
from scripts.plan import checks

PACKAGES = ("jax", "jaxlib", "libtpu", "flax", "google-tunix", "qwix", "optax", "orbax-checkpoint")
DEVICE_QUERY = "import jax; d = jax.devices(); print(len(d), d[0].device_kind, sep='|')"
DEVICE_QUERY_TIMEOUT_SEC = 180


@dataclass(frozen=True)
class PreflightSettings:
    """The arm that is to be trained here. `model_gb` is what its base model takes when it is staged, `checkpoints` the
    folder or URL that checkpoints go to."""

    arm: str
    hardware: str
    hardware_kind: HardwareKind
    chips: int
    model_source: str
    model_gb: float
    checkpoints: str


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of PreflightSettings")
    parser.add_argument("--lock", type=Path, required=True, help="lock of the training environment")
    return parser.parse_args(argv)


def device_checks(settings: PreflightSettings) -> list[checks.Check]:
    """Device files first; only where there are some is JAX asked, which takes the accelerator for a moment."""
    found = count_devices(settings.hardware_kind)
    if settings.hardware_kind == "cpu" or found == 0:
        return [checks.device_count_check(settings.hardware_kind, found, settings.chips, settings.hardware)]
    try:
        query = subprocess.run(
            [sys.executable, "-c", DEVICE_QUERY], capture_output=True, text=True, timeout=DEVICE_QUERY_TIMEOUT_SEC
        )
    except subprocess.TimeoutExpired:
        return [checks.Check("devices", False, "JAX did not answer", f"an answer in {DEVICE_QUERY_TIMEOUT_SEC} s")]
    if query.returncode:
        last = (query.stderr.strip().splitlines() or ["no message"])[-1]
        return [checks.Check("devices", False, last, "JAX on this accelerator, and no other process that holds it")]
    count, kind = query.stdout.strip().splitlines()[-1].split("|")
    both = [checks.device_count_check(settings.hardware_kind, int(count), settings.chips, settings.hardware)]
    return [*both, checks.device_kind_check(kind, settings.hardware)] if settings.hardware_kind == "tpu" else both


def existing_parent(path: Path) -> Path:
    """The nearest folder above `path`, or itself, that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def available_memory_bytes() -> int:
    """What the kernel could give without swapping, file caches included."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def write_problem(location: str) -> str | None:
    """Why no file can be made in `location`, a folder or a URL that fsspec has a driver for (gs://); or None."""
    try:
        if is_local(location):
            with tempfile.NamedTemporaryFile(dir=existing_parent(Path(location))):
                return None
        fs, path = fsspec.url_to_fs(location)
        probe = f"{path.rstrip('/')}/.preflight-{os.getpid()}"
        fs.pipe_file(probe, b"preflight")
        fs.rm_file(probe)
    except Exception as error:  # each driver raises errors of its own: credentials, names, permissions, network
        said = (str(error).strip().splitlines() or [""])[0]
        return f"{location}: {getattr(error, 'strerror', None) or f'{type(error).__name__} {said}'}"
    return None


def is_local(location: str) -> bool:
    return "://" not in location


def all_checks(settings: PreflightSettings, lock: str) -> list[checks.Check]:
    needed_bytes = settings.model_gb * checks.GB
    source_is_local = Path(settings.model_source).is_dir()
    token = Path(os.environ.get("HF_HOME", Path.home() / ".cache/huggingface")) / "token"
    staging = tempfile.gettempdir()
    # A bucket has no end: then it is the run's own folder that holds what is on its way there.
    disk = existing_parent(Path(settings.checkpoints if is_local(settings.checkpoints) else "."))
    # On one disk the model and its staged copy lie side by side.
    staging_bytes = needed_bytes * (2 if disk.stat().st_dev == Path(staging).stat().st_dev else 1)
    locked = checks.locked_versions(lock, PACKAGES)
    return [
        checks.python_check(sys.version_info[:3]),
        *device_checks(settings),
        checks.memory_check(available_memory_bytes(), needed_bytes),
        checks.space_check("disk", str(disk), shutil.disk_usage(disk).free, needed_bytes),
        checks.space_check("TMPDIR", staging, shutil.disk_usage(staging).free, staging_bytes),
        checks.credentials_check(source_is_local, "HF_TOKEN" in os.environ or token.is_file()),
        checks.write_check(settings.checkpoints, write_problem(settings.checkpoints)),
        checks.version_check(locked, {name: installed_version(name) for name in locked}),
    ]


def installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(PreflightSettings, args.settings)
    results = all_checks(settings, args.lock.read_text(encoding="utf-8"))
    for check in results:
        print(check.line)
    failed = [check.name for check in results if not check.passed]
    if failed:
        raise UserError(f"the arm {settings.arm} cannot be trained here yet: {', '.join(failed)}")


if __name__ == "__main__":
    main()
