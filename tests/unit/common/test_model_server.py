"""A server is up and healthy inside the context and gone after it, however the job ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from scripts.common import model_server as module
from scripts.common.errors import UserError
from scripts.common.files import write_manifest
from scripts.common.model_server import Server, check_machine, last_words, model_server
from scripts.common.server_settings import ServerSettings
from scripts.common.vllm_commands import container_name

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
# Two "devices", so that the plain `vllm` of PATH is run, which is a fake here.
NATIVE = ServerSettings("native", "cpu", 2, 512, "float32", startup_timeout_sec=20)
DOCKER = ServerSettings("docker", "cpu", 2, 512, "auto", startup_timeout_sec=20, image="vllm/vllm-openai:v0.20.2")
JOB = """
import json, signal, sys, time
from pathlib import Path
# A shell's background job inherits these ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from scripts.common.model_server import model_server
from scripts.common.server_settings import ServerSettings
settings = ServerSettings(**json.loads(sys.argv[1]))
with model_server(settings, Path(sys.argv[2]), Path(sys.argv[3])) as server:
    print(server.base_url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "tpu" / "seed0"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["Gemma4ForConditionalGeneration"]}))
    return write_manifest(folder)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "bench" / "tpu.server.log"


@pytest.fixture(autouse=True)
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Executables `vllm` and `docker` in front of all others on PATH; returns the fake docker's folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in {"vllm": "fake_server.py", "docker": "fake_docker.py"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{HERE / script}" "$@"\n')
        (programs / name).chmod(0o755)
    docker = tmp_path / "docker"
    docker.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(docker))
    monkeypatch.setenv("FAKE_PIDS", str(tmp_path / "pids"))
    monkeypatch.setenv("FAKE_MODE", "")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return docker


@pytest.fixture
def docker_daemon(fakes: Path) -> Iterator[Path]:
    daemon = subprocess.Popen([sys.executable, "-S", HERE / "fake_docker.py", "daemon"], stdin=subprocess.PIPE)
    yield fakes
    assert daemon.stdin
    daemon.stdin.close()
    daemon.wait(10)


def server_pids(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "pids").read_text().split()]


def alive(pid: int) -> bool:
    """Is there such a process, other than one that only waits to be collected?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def none_left(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


def test_a_healthy_server_says_where_and_what_it_is(manifest: Path, log: Path, tmp_path: Path) -> None:
    with model_server(NATIVE, manifest, log) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.base_url.endswith("/v1")
        assert requests.get(f"{server.base_url}/models", timeout=5).json()["data"][0]["id"] == server.model_name
        assert server.model_name == "tpu/seed0"
        assert server.vllm_version == "0.0.fake"
        assert 0 < server.startup_sec < 20
        assert server.command[:3] == ("vllm", "serve", str(manifest.parent))
        pids = server_pids(tmp_path)
        assert all(alive(pid) for pid in [*pids, server.supervisor_pid])
    assert none_left([*pids, server.supervisor_pid])


def test_a_server_that_starts_slowly_is_waited_for(manifest: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MODE", "slow")
    monkeypatch.setenv("FAKE_DELAY_SEC", "1.5")
    with model_server(NATIVE, manifest, log) as server:
        assert server.startup_sec >= 1.5


def test_a_server_that_never_answers_is_given_up(
    manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "slow engine")
    monkeypatch.setenv("FAKE_DELAY_SEC", "600")
    impatient = ServerSettings("native", "cpu", 2, 512, "float32", startup_timeout_sec=1)
    with pytest.raises(UserError, match="startup_timeout_sec"), model_server(impatient, manifest, log):
        pytest.fail("not healthy")
    assert none_left(server_pids(tmp_path))


def test_a_server_that_exits_early_is_an_error_with_its_last_words(
    manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "exit engine")
    with (
        pytest.raises(UserError, match=r"status 3 .*ValueError: 4 heads over 8 devices"),
        model_server(NATIVE, manifest, log),
    ):
        pytest.fail("not healthy")
    assert none_left(server_pids(tmp_path))


def test_another_server_on_the_port_is_not_taken_for_ours(
    manifest: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "impostor")
    with pytest.raises(UserError, match="serves another instead of tpu/seed0"), model_server(NATIVE, manifest, log):
        pytest.fail("not ours")


def test_engines_that_ignore_sigterm_are_killed_after_the_grace(
    manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "stubborn")
    monkeypatch.setattr(module, "STOP_GRACE_SEC", 0.5)
    with model_server(NATIVE, manifest, log):
        pids = server_pids(tmp_path)
        assert len(pids) == 3
        stopping = time.monotonic()
    assert none_left(pids)
    assert 0.5 <= time.monotonic() - stopping < 5


def test_an_exception_in_the_job_ends_the_server(manifest: Path, log: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), model_server(NATIVE, manifest, log):
        raise ZeroDivisionError
    assert none_left(server_pids(tmp_path))


def test_a_server_that_dies_later_takes_its_engines_along(
    manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "engine")
    with model_server(NATIVE, manifest, log) as server:
        pids = server_pids(tmp_path)
        os.kill(pids[0], signal.SIGKILL)
        assert wait_for(lambda: none_left(pids))
        assert wait_for(lambda: not alive(server.supervisor_pid))


def test_a_killed_supervisor_leaves_nothing_of_its_session(
    manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "engine")
    with model_server(NATIVE, manifest, log) as server:
        main, engine, elsewhere = server_pids(tmp_path)
        os.kill(server.supervisor_pid, signal.SIGKILL)
        assert wait_for(lambda: not alive(main))
        assert alive(engine)
    assert wait_for(lambda: not alive(engine))
    os.kill(elsewhere, signal.SIGKILL)


def start_job(settings: dict[str, object], manifest: Path, log: Path) -> subprocess.Popen[str]:
    """A job of its own that serves and sleeps; returns once its server is healthy."""
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, json.dumps(settings), manifest, log],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout
    assert job.stdout.readline().startswith("http://127.0.0.1:")
    return job


def as_json(settings: ServerSettings) -> dict[str, object]:
    return {key: value for key, value in vars(settings).items() if value not in (None, ())}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_process_outlives_a_signalled_job(
    number: signal.Signals, manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "engine")
    job = start_job(as_json(NATIVE), manifest, log)
    pids = server_pids(tmp_path)
    assert len(pids) == 3
    assert all(alive(pid) for pid in pids)
    socket = Path((tmp_path / "socket").read_text())
    assert socket.exists()
    job.send_signal(number)
    assert job.wait(15) != 0
    assert wait_for(lambda: none_left(pids))
    assert wait_for(lambda: not socket.parent.exists())


def test_a_docker_server_runs_in_a_container_that_is_removed(
    manifest: Path, log: Path, tmp_path: Path, docker_daemon: Path
) -> None:
    with model_server(DOCKER, manifest, log) as server:
        assert requests.get(f"{server.base_url}/models", timeout=5).json()["data"][0]["id"] == server.model_name
        arguments = json.loads((docker_daemon / "run.json").read_text())
        assert list(server.command) == ["docker", "run", *arguments]
        pids = server_pids(tmp_path)
    assert (docker_daemon / "removed.txt").read_text().splitlines()[-1] == container_name(log)
    assert wait_for(lambda: none_left(pids))


def test_a_container_does_not_outlive_a_killed_job(
    manifest: Path, log: Path, tmp_path: Path, docker_daemon: Path
) -> None:
    job = start_job(as_json(DOCKER), manifest, log)
    pids = server_pids(tmp_path)
    job.kill()
    job.wait(15)
    assert wait_for(lambda: none_left(pids))


def test_a_container_left_by_a_killed_machine_is_removed_before_the_start(
    manifest: Path, log: Path, docker_daemon: Path
) -> None:
    leftover = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    (docker_daemon / f"{container_name(log)}.pid").write_text(str(leftover.pid))
    with model_server(DOCKER, manifest, log):
        assert leftover.wait(5) == -signal.SIGKILL


def test_docker_that_cannot_be_asked_is_an_error(manifest: Path, log: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
    with pytest.raises(UserError, match="Cannot connect to the Docker daemon"), model_server(DOCKER, manifest, log):
        pytest.fail("no daemon")


def test_a_missing_docker_is_one_line_that_says_what_to_do(
    manifest: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(UserError, match=r"no docker on PATH.*vllm/vllm-openai:v0.20.2.*install"),
        model_server(DOCKER, manifest, log),
    ):
        pytest.fail("no docker")


@pytest.mark.parametrize(("kind", "device"), [("tpu", "dev/accel0"), ("tpu", "dev/vfio/0"), ("gpu", "dev/nvidia0")])
def test_a_missing_accelerator_is_found_before_the_start(
    kind: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServerSettings("native", kind, 2, 512, "auto", 20)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"hardware kind {kind}: this machine has none"):
        check_machine(settings, dev=tmp_path / "dev")
    (tmp_path / device).parent.mkdir(parents=True)
    (tmp_path / device).touch()
    monkeypatch.setattr(module.importlib.metadata, "version", lambda name: "0.32.0")
    check_machine(settings, dev=tmp_path / "dev")
    monkeypatch.setattr(module.importlib.metadata, "version", lambda name: "0.32.0+cpu")
    with pytest.raises(UserError, match="built for CPUs"):
        check_machine(settings, dev=tmp_path / "dev")


def test_a_changed_model_is_not_served(manifest: Path, log: Path) -> None:
    (manifest.parent / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config.json"), model_server(NATIVE, manifest, log):
        pytest.fail("the manifest promises another file")


def test_last_words_prefer_errors_and_drop_prefixes(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(
        "INFO 11-23 18:35:31 [core.py:133] all is well\n"
        "(EngineCore pid=7) ERROR 11-23 18:35:31 [core.py:842] torch.OutOfMemoryError: tried to allocate 20 GiB\n"
        "(EngineCore pid=7) ERROR 11-23 18:35:31 [core.py:842] torch.OutOfMemoryError: tried to allocate 20 GiB\n"
        "[rank0]: warnings.warn(\n"
    )
    assert last_words(log) == f"{log} ends: torch.OutOfMemoryError: tried to allocate 20 GiB"
    log.write_text(
        "pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, max_model_len (99999) is greater than 2048\n"
    )
    assert "ModelConfig | Value error, max_model_len (99999) is greater than 2048" in last_words(log)
    log.write_text("a\n\nb\n")
    assert last_words(log) == f"{log} ends: a | b"
    log.write_text("")
    assert last_words(log) == f"{log} is empty"


def test_the_loopback_is_never_asked_through_a_proxy(
    manifest: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "internal.example")
    with model_server(NATIVE, manifest, log) as server:
        assert isinstance(server, Server)
        assert os.environ["no_proxy"] == "internal.example,127.0.0.1,localhost"
