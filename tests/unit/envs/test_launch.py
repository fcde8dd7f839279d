"""The launcher: one environment a lock, built once, rebuilt when half-built, with pip's configuration respected."""

import concurrent.futures
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, "envs")
import launch

LAUNCHER = Path("envs/launch.py").resolve()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose only environment installs nothing; it borrows this project's uv."""
    (tmp_path / "envs").mkdir()
    shutil.copyfile(LAUNCHER, tmp_path / "envs/launch.py")
    shutil.copyfile("envs/uv.txt", tmp_path / "envs/uv.txt")
    (tmp_path / "envs/tiny.in").write_text("")
    (tmp_path / "envs/tiny.txt").write_text("# nothing\n")
    uv = launch.build("uv")
    (tmp_path / ".venvs").mkdir()
    (tmp_path / ".venvs" / uv.name).symlink_to(uv)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "envs/launch.py", *arguments], cwd=project, capture_output=True, text=True, timeout=120
    )


def environments(project: Path) -> list[Path]:
    return [path for path in (project / ".venvs").glob("tiny-*") if path.is_dir()]


def test_builds_on_demand_and_runs_inside(project: Path) -> None:
    result = run(project, "tiny", "python", "-c", "import sys; print(sys.prefix)")
    assert result.returncode == 0, result.stderr
    (environment,) = environments(project)
    assert result.stdout.strip() == str(environment)
    assert "building" not in run(project, "tiny", "true").stderr


def test_an_environment_built_through_a_link_outlives_it(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Copies of a project, as tests make them, link their environments to its own, and may be the first to need one."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(project / "envs", copy / "envs")
    (copy / ".venvs").symlink_to(project / ".venvs")
    result = run(copy, "tiny", "python", "-c", "import sys; print(sys.prefix)")
    assert result.returncode == 0, result.stderr
    (environment,) = environments(project)
    assert result.stdout.strip() == str(environment)
    assert str(copy) not in (environment / "pyvenv.cfg").read_text()


def test_two_that_ask_at_once_build_once(project: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda _: run(project, "tiny", "python", "-c", "print('ok')"), range(3)))
    assert [result.stdout.strip() for result in results] == ["ok"] * 3
    assert sum("building" in result.stderr for result in results) == 1


def test_a_half_built_environment_is_rebuilt(project: Path) -> None:
    run(project, "--build", "tiny")
    (environment,) = environments(project)
    (environment / ".complete").unlink()
    (environment / "bin/python").unlink()
    result = run(project, "tiny", "python", "-c", "print('ok')")
    assert result.stdout.strip() == "ok", result.stderr


def test_a_changed_lock_is_a_new_environment(project: Path) -> None:
    run(project, "--build", "tiny")
    (project / "envs/tiny.txt").write_text("# another comment\n")
    run(project, "--build", "tiny")
    assert len(environments(project)) == 1
    (project / "envs/tiny.txt").write_text("# nothing\nnever-installed==1.0 ; sys_platform == 'never'\n")
    run(project, "--build", "tiny")
    assert len(environments(project)) == 2


def test_files_laid_over_site_packages_are_part_of_it(project: Path) -> None:
    overlay = project / "envs/tiny.site/extra-1.0.dist-info"
    overlay.mkdir(parents=True)
    (overlay / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    code = "import importlib.metadata; print(importlib.metadata.version('extra'))"
    assert run(project, "tiny", "python", "-c", code).stdout.strip() == "1.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "true"), "no environment 'nowhere'"),
        (("tiny",), "no command to run"),
        (("tiny", "no-such-program"), "neither in the environment"),
    ],
)
def test_a_mistake_is_one_line(project: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(project, *arguments)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_the_exit_status_is_the_commands(project: Path) -> None:
    assert run(project, "tiny", "python", "-c", "raise SystemExit(7)").returncode == 7


def test_pips_wheel_folders_reach_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    variables = launch.uv_variables({"find-links": "/wheels /more", "index-url": "https://mirror/simple"})
    assert variables["UV_FIND_LINKS"] == "/wheels,/more"
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror/simple"


def test_uvs_own_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", "/mine")
    assert "UV_FIND_LINKS" not in launch.uv_variables({"find-links": "/wheels"})


def test_pip_config_is_read_with_the_environment_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nfind-links = /from-file\nindex-url = https://mirror/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", "/from-environment")
    settings = launch.pip_settings(launch.build("uv") / "bin/python")
    assert settings["find-links"] == "/from-environment"
    assert settings["index-url"] == "https://mirror/simple"


def test_a_cpu_wheel_of_torch_is_seen_for_this_python_only(tmp_path: Path) -> None:
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert not launch.has_cpu_torch_wheel(str(tmp_path))
    (tmp_path / "torch-2.13.0+cpu-cp27-cp27-linux_x86_64.whl").touch()
    assert not launch.has_cpu_torch_wheel(str(tmp_path))
    (tmp_path / f"torch-2.13.0+cpu-{version}-{version}-linux_x86_64.whl").touch()
    assert launch.has_cpu_torch_wheel(f"file://{tmp_path}")
