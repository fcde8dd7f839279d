"""What a hostile program finds in the sandbox: nothing to see, nobody to call, little to use up."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.common import icarus
from scripts.common.errors import UserError
from scripts.common.icarus import icarus_tools, icarus_workers
from scripts.common.sandbox import FILE_SIZE_STATUS, Limits, Result, Sandbox, bubblewrap_prefix
from tests.unit.common.tools import ROOT, needs_tools

pytestmark = needs_tools

LIMITS = Limits(wall_clock_sec=10, memory_bytes=512 << 20, file_bytes=1 << 20)


def inside(script: str, limits: Limits = LIMITS, **files: str) -> Result:
    return Sandbox(bubblewrap_prefix(icarus_tools(), 4 << 20)).run(["sh", "-c", script], files, limits)


def test_a_command_gets_its_files_and_gives_its_outputs_and_status() -> None:
    assert inside("cat a; echo sorry >&2; exit 3", a="text") == Result(3, "text", "sorry\n")


def test_there_is_nothing_but_the_system() -> None:
    listing = inside("ls -d /*").output.split()
    assert set(listing) <= {"/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr", "/work"}


def test_the_system_is_read_only_and_the_root_too() -> None:
    assert inside("touch /usr/x").status != 0
    assert inside("touch /x").status != 0
    assert inside("touch /work/x").status == 0


def test_nothing_is_left_from_the_command_before() -> None:
    inside("touch /work/x")
    assert inside("ls /work").output == ""


def test_there_is_no_network() -> None:
    """bash's /dev/tcp reaches a listener on this machine from outside the sandbox, and not from inside."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        call = f"exec 3<>/dev/tcp/127.0.0.1/{listener.getsockname()[1]}"
        assert subprocess.run(["bash", "-c", call]).returncode == 0
        assert inside(f"exec bash -c '{call}'").status != 0


def test_the_environment_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", "1")
    assert "HOUSE_KEY" not in inside("env").output


def test_it_runs_as_nobody() -> None:
    assert inside("id -u").output == "65534\n"


def test_time_is_up_when_it_is_up() -> None:
    started = time.monotonic()
    result = inside("echo begun; sleep 60 & sleep 60", Limits(0.5, 512 << 20, 1 << 20))
    assert result.status is None
    assert result.output == "begun\n"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(("buffer", "exhausted"), [("100M", False), ("900M", True)])
def test_memory_ends(buffer: str, exhausted: bool) -> None:
    result = inside(f"exec dd if=/usr/bin/vvp bs={buffer} count=1 status=none of=copy")
    assert ("memory exhausted" in result.errors) is exhausted


def test_output_ends() -> None:
    result = inside("exec yes")
    assert result.status == FILE_SIZE_STATUS
    assert len(result.output) == LIMITS.file_bytes


def test_a_file_ends() -> None:
    result = inside("for i in 1 2 3 4 5 6 7 8; do cat /usr/bin/iverilog /usr/bin/vvp; done > big; wc -c < big >&2")
    assert int(result.errors.split()[-1]) == LIMITS.file_bytes


def test_the_work_folder_ends() -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do head -c 900000 /usr/bin/vvp > f$i || exit 7; done"
    assert inside(script).status == 7


def test_a_text_that_is_no_unicode_is_handed_over() -> None:
    assert inside("cat a", a="x\udcffy").output == "x?y"


def test_without_bubblewrap_limits_still_hold() -> None:
    open_air = Sandbox(())
    assert open_air.run(["cat", "a"], {"a": "text"}, LIMITS).output == "text"
    assert open_air.run(["yes"], {}, LIMITS).status == FILE_SIZE_STATUS
    assert open_air.run(["sleep", "60"], {}, Limits(0.3, 1 << 30, 1 << 20)).status is None


def test_where_bubblewrap_is_not_installed_the_message_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="apt-get install bubblewrap"):
        bubblewrap_prefix([], 1)


@pytest.fixture
def broken_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def user_inside(sandboxed: bool) -> int:
    with icarus_workers(sandboxed, 1) as workers:
        return workers.pool.submit(os.geteuid).result()


@pytest.mark.usefixtures("broken_bubblewrap")
def test_where_bubblewrap_does_not_work_nothing_runs() -> None:
    with pytest.raises(UserError, match=r"bubblewrap does not work here \(.*verilog\.unsafe_no_sandbox: true"):
        user_inside(sandboxed=True)


@pytest.mark.usefixtures("broken_bubblewrap")
def test_unless_the_user_takes_the_risk() -> None:
    assert user_inside(sandboxed=False) == os.geteuid()


def test_workers_have_no_privileges() -> None:
    assert user_inside(sandboxed=True) != 0


def test_root_that_alone_may_make_namespaces_stays_root(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can stay root: run as root")
    monkeypatch.setattr(icarus, "usable", lambda *_: None if os.geteuid() == 0 else "not permitted")
    assert user_inside(sandboxed=True) == 0


def test_dropped_privileges_are_gone_for_good() -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has none to drop: run as root")
    code = "from scripts.common.sandbox import drop_privileges; import os; drop_privileges(); os.setuid(0)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "PermissionError" in result.stderr
