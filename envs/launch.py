"""Runs a command in one of the project's locked environments, building it first when needed.

    python3 envs/launch.py NAME COMMAND [ARG ...]     run COMMAND in the environment NAME
    python3 envs/launch.py --build NAME [NAME ...]    only build

The environment NAME lives in `.venvs/NAME-HASH`, where HASH covers the lock `envs/NAME.txt`, the files laid over its
site-packages (`envs/NAME.site/`) and the Python version: a changed lock is a new environment, never a patched one.
Two launchers that ask at once wait for each other; one that was killed while building is rebuilt.

Standard library only: this file runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "envs"
# Where a link leads: programs in an environment name their interpreter by its path, which has to outlive the link.
VENVS = (ROOT / ".venvs").resolve()
# The newest Python that every lock was resolved for, and the oldest that Tunix accepts.
SUPPORTED_PYTHONS = ((3, 11), (3, 12))
# PyPI's torch is a CUDA build; these environments want PyTorch's CPU build instead.
CPU_TORCH_ENVS = ("torch",)


class LaunchError(Exception):
    """A mistake or a missing piece that the user can mend; shown as one line."""


def environment_hash(name: str) -> str:
    """First 12 hex digits of the sha256 of everything that determines the environment."""
    lock = LOCKS / f"{name}.txt"
    if not lock.is_file():
        known = sorted(path.stem for path in LOCKS.glob("*.in"))
        raise LaunchError(f"no environment {name!r}: envs/{name}.txt is missing (known: {', '.join(known)})")
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    requirements = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
    digest.update("\n".join(requirements).encode())
    overlay = sorted(path for path in (LOCKS / f"{name}.site").rglob("*") if path.is_file())
    for path in overlay:
        digest.update(f"\0{path.relative_to(LOCKS)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def pip_settings(python: Path) -> dict[str, str]:
    """pip's configured options as {option: value}; the environment (PIP_*) wins over the files."""
    listing = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    settings: dict[str, str] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section == ":env:" or (section in ("global", "install") and option not in settings):
            settings[option] = value.strip().strip("'\"").replace("\\n", " ")
    return settings


def uv_variables(settings: dict[str, str]) -> dict[str, str]:
    """uv reads nothing of pip's configuration: the same settings under uv's names."""
    variables = {}
    if folders := settings.get("find-links"):
        variables["UV_FIND_LINKS"] = ",".join(folders.split())
    if index := settings.get("index-url"):
        variables["UV_DEFAULT_INDEX"] = index
    if certificates := settings.get("cert"):
        variables["SSL_CERT_FILE"] = certificates
    return {key: value for key, value in variables.items() if key not in os.environ}


def has_cpu_torch_wheel(find_links: str) -> bool:
    """True when a configured local folder carries a CPU build of torch for this Python."""
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    folders = [Path(entry.removeprefix("file://")) for entry in find_links.split(",") if entry]
    return any(any(folder.glob(f"torch-*cpu-{tag}-*.whl")) for folder in folders if folder.is_dir())


def run_step(command: list[str | Path], what: str, variables: dict[str, str] | None = None) -> None:
    result = subprocess.run(command, env={**os.environ, **(variables or {})}, stdout=sys.stderr)
    if result.returncode:
        raise LaunchError(f"{what} failed (exit {result.returncode}): see the lines above")


def make_venv(folder: Path, with_pip: bool) -> None:
    """A bare virtual environment of the running interpreter."""
    options = [] if with_pip else ["--without-pip"]
    result = subprocess.run([sys.executable, "-m", "venv", *options, folder], capture_output=True, text=True)
    if result.returncode:
        detail = (result.stderr or result.stdout).strip().splitlines()
        raise LaunchError(
            f"python -m venv failed ({detail[0] if detail else 'no message'}); "
            f"on Debian or Ubuntu: apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )


def built(folder: Path) -> bool:
    return (folder / ".complete").is_file()


def build(name: str) -> Path:
    """The folder of the environment `name`, built from its lock unless it is there already."""
    folder = VENVS / f"{name}-{environment_hash(name)}"
    if built(folder):
        return folder
    VENVS.mkdir(exist_ok=True)
    with open(VENVS / f"{folder.name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if built(folder):  # another launcher finished while this one waited
            return folder
        if folder.exists():  # half-built: its builder was killed
            shutil.rmtree(folder)
        print(f"building the environment {name} in {folder}", file=sys.stderr)
        if name == "uv":
            make_venv(folder, with_pip=True)
            run_step(
                [folder / "bin/python", "-m", "pip", "install", "--quiet", "-r", LOCKS / "uv.txt"], "pip install uv"
            )
        else:
            install_locked(name, folder)
        (folder / ".complete").touch()
    return folder


def install_locked(name: str, folder: Path) -> None:
    """Installs exactly what the lock names into a new virtual environment at `folder`."""
    tools = build("uv") / "bin"
    make_venv(folder, with_pip=False)
    settings = pip_settings(tools / "python")
    variables = uv_variables(settings)
    command: list[str | Path] = [
        tools / "uv", "pip", "install", "--quiet", "--no-deps",
        "--python", folder / "bin/python", "--requirement", LOCKS / f"{name}.txt",
    ]  # fmt: skip
    if name in CPU_TORCH_ENVS:
        find_links = os.environ.get("UV_FIND_LINKS", variables.get("UV_FIND_LINKS", ""))
        # uv stops at an index that it cannot reach, so PyTorch's own is added only where no folder has the wheel.
        if not has_cpu_torch_wheel(find_links):
            command.append("--torch-backend=cpu")
    run_step(command, f"installing envs/{name}.txt", variables)
    overlay = LOCKS / f"{name}.site"
    if overlay.is_dir():
        site_packages = next((folder / "lib").glob("python*/site-packages"))
        shutil.copytree(overlay, site_packages, dirs_exist_ok=True)


def child_environment(folder: Path) -> dict[str, str]:
    """The caller's environment with `folder` activated and the project importable."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    environment["VIRTUAL_ENV"] = str(folder)
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment["PYTHONPATH"] = str(ROOT)
    environment["PYTHONNOUSERSITE"] = "1"
    return environment


def main(arguments: list[str]) -> None:
    if sys.version_info[:2] not in SUPPORTED_PYTHONS:
        found = ".".join(map(str, sys.version_info[:2]))
        raise LaunchError(f"Python 3.11 or 3.12 is needed, this is {found}: set PYTHON=/path/to/python3.11")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
    elif arguments[0] == "--build":
        for name in arguments[1:]:
            build(name)
    elif len(arguments) == 1:
        raise LaunchError(f"no command to run in {arguments[0]!r}: see python3 envs/launch.py --help")
    else:
        environment = child_environment(build(arguments[0]))
        program = shutil.which(arguments[1], path=environment["PATH"])
        if program is None:
            raise LaunchError(f"{arguments[1]!r} is neither in the environment {arguments[0]!r} nor on PATH")
        os.execve(program, arguments[1:], environment)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LaunchError as error:
        print(f"launch: {error}", file=sys.stderr)
        sys.exit(2)
