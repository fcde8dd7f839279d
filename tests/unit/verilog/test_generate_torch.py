"""The generate step with the real client, against a stand-in of the server: complete, resumable, reproducible."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from transformers import AutoTokenizer

from scripts.common.files import read_jsonl, write_manifest
from scripts.common.model_server import Server
from scripts.verilog import generate
from scripts.verilog.prompts import PromptStyle, user_text
from scripts.verilog.sampling import sample_seed
from tests.unit.common.tools import ROOT
from tests.unit.verilog.fake_chat_server import FakeChatServer
from tests.unit.verilog.tools import PROBLEMS, SCHEMAS

SETTINGS = {
    "samples_per_problem": 3,
    "requests_in_flight": 2,
    "chat": {"template": "model", "system_prompt": None},
    "prompt": {"variant": "problem", "examples": 0},
    "sampling": {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 64, "seed": 5},
    "server": {
        "backend": "native", "hardware_kind": "cpu", "tensor_parallel_size": 1, "max_model_len_tokens": 512,
        "dtype": "float32", "startup_timeout_sec": 300,
    },
}  # fmt: skip
NAME = "Prob001_latch_and"
# The step in a process of its own, with the stand-in at the address in its environment.
JOB = """
import contextlib, os
from scripts.common.model_server import Server
from scripts.verilog import generate
@contextlib.contextmanager
def fake(*_):
    yield Server(os.environ["FAKE_URL"], "m", 1.0, ("vllm",), 1, None)
generate.model_server = fake
generate.main()
"""


class Step:
    """The entry script in a folder with a model, two problems and a count of the servers that it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = 0
        for number in (1, 2):
            for path in PROBLEMS.iterdir():
                (folder / "problems").mkdir(exist_ok=True)
                shutil.copy(path, folder / "problems" / path.name.replace("Prob001", f"Prob00{number}"))
        (folder / "model").mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(ROOT / "resources/mini/model" / name, folder / "model")
        (folder / "model/config.json").write_text('{"model_type": "gemma4_text"}')
        write_manifest(folder / "model")

    def arguments(self, **changes: Any) -> list[str]:
        flags = {
            "settings": json.dumps({**SETTINGS, **changes}),
            "model": self.folder / "model/manifest.json",
            "problems": self.folder / "problems",
            "state": self.folder / "state/generate",
            "server-log": self.folder / "logs/server.log",
            "output": self.folder / "samples.jsonl",
            "record": self.folder / "record.json",
        }
        return [text for key, value in flags.items() for text in (f"--{key}", str(value))]

    def run(self, **changes: Any) -> list[dict[str, Any]]:
        generate.main(self.arguments(**changes))
        return list(read_jsonl(self.folder / "samples.jsonl"))


@pytest.fixture
def fake() -> Iterator[FakeChatServer]:
    with FakeChatServer().running() as server:
        yield server


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeChatServer) -> Step:
    step = Step(tmp_path)

    @contextlib.contextmanager
    def model_server(*_: object) -> Iterator[Server]:
        step.starts += 1
        yield Server(fake.base_url, "tpu/seed0", 1.0, ("vllm", "serve"), 1, None)

    monkeypatch.setattr(generate, "model_server", model_server)
    return step


def test_every_problem_gets_its_samples_in_order(step: Step) -> None:
    rows = step.run()
    names = [NAME, NAME.replace("001", "002")]
    assert [(row["problem"], row["sample"]) for row in rows] == [(name, i) for name in names for i in range(3)]
    schema = json.loads((SCHEMAS / "sample.schema.json").read_text())
    for row in rows:
        jsonschema.validate(row, schema)
        assert row["seed"] == sample_seed(5, row["problem"], row["sample"])
        assert row["text"].endswith(f"by {row['seed']}")
        assert row["completion_tokens"] == 7


def test_the_record_says_how_the_samples_came_about(step: Step, fake: FakeChatServer) -> None:
    fake.finish_reason = "length"
    step.run()
    record = json.loads((step.folder / "record.json").read_text())
    jsonschema.validate(record, json.loads((SCHEMAS / "generation.schema.json").read_text()))
    assert record["engines"] == {"vllm unknown": 6}
    assert record["finish_reasons"] == {"length": 6}
    assert record["completion_tokens"] == {"total": 42, "mean": 7, "most": 7}
    assert record["provenance"]["settings"]["sampling"] == SETTINGS["sampling"]


@pytest.mark.parametrize("variant", ["verilog_eval", "published_hints"])
def test_another_prompt_asks_for_all_again(step: Step, fake: FakeChatServer, variant: str) -> None:
    step.run()
    fake.requests.clear()
    step.run(prompt={"variant": variant, "examples": 2})
    assert len(fake.requests) == 6
    (turn,) = fake.requests[0]["messages"]
    assert turn["content"] == user_text(
        (PROBLEMS / f"{NAME}_prompt.txt").read_text(),
        PromptStyle(variant, 2),  # type: ignore[arg-type]
    )


def test_the_prompt_is_the_users_turn_and_the_sampling_is_asked_for(step: Step, fake: FakeChatServer) -> None:
    step.run()
    prompt = (PROBLEMS / f"{NAME}_prompt.txt").read_text()
    for body in fake.requests:
        assert body["messages"] == [{"role": "user", "content": prompt}]
        assert (body["model"], body["temperature"], body["top_p"]) == ("tpu/seed0", 0.8, 0.95)
        assert body["max_completion_tokens"] == 64


@pytest.mark.parametrize(
    ("chat", "turns", "stop"),
    [
        ({"template": "model", "system_prompt": None}, ["user"], None),
        ({"template": "model", "system_prompt": "Write Verilog."}, ["system", "user"], None),
        ({"template": "paper", "system_prompt": None}, ["user"], ["<end_of_turn>"]),
    ],
    ids=str,
)
def test_the_server_is_asked_for_the_chat_that_training_saw(
    step: Step, fake: FakeChatServer, chat: dict[str, Any], turns: list[str], stop: list[str] | None
) -> None:
    fake.tokenizer = AutoTokenizer.from_pretrained(ROOT / "resources/mini/model")
    step.run(chat=chat)
    for body in fake.requests:
        assert [turn["role"] for turn in body["messages"]] == turns
        assert body.get("stop") == stop
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert ("<start_of_turn>" in body.get("chat_template", "")) == (chat["template"] == "paper")


def test_a_server_that_makes_other_tokens_of_the_prompt_is_refused(
    step: Step, fake: FakeChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.tokenizer = AutoTokenizer.from_pretrained(ROOT / "resources/mini/model")
    fake.tokenizer.chat_template += "{{ 'Well, ' }}"
    with pytest.raises(SystemExit):
        step.run()
    assert "others than training saw" in capsys.readouterr().err
    assert not (step.folder / "samples.jsonl").exists()


def test_a_cut_off_answer_is_said_to_be_so(step: Step, fake: FakeChatServer) -> None:
    fake.finish_reason = "length"
    assert {row["finish_reason"] for row in step.run()} == {"length"}


def test_no_more_requests_are_in_flight_than_allowed(step: Step, fake: FakeChatServer) -> None:
    fake.delay_sec = 0.2
    step.run()
    assert fake.most_in_flight == 2


def test_a_second_run_asks_for_nothing_and_starts_no_server(step: Step, fake: FakeChatServer) -> None:
    first = step.run()
    fake.requests.clear()
    assert step.run() == first
    assert (step.starts, fake.requests) == (1, [])


def test_more_samples_ask_for_the_further_ones_only(step: Step, fake: FakeChatServer) -> None:
    first = step.run()
    fake.requests.clear()
    rows = step.run(samples_per_problem=4)
    assert [row for row in rows if row["sample"] < 3] == first
    assert len(fake.requests) == 2


def test_another_temperature_asks_for_all_again(step: Step, fake: FakeChatServer) -> None:
    step.run()
    fake.requests.clear()
    step.run(sampling={**SETTINGS["sampling"], "temperature": 0.1})  # type: ignore[dict-item]
    assert len(fake.requests) == 6


def test_a_busy_server_is_asked_again(step: Step, fake: FakeChatServer) -> None:
    fake.failures = 2
    assert len(step.run()) == 6


def test_a_refusal_is_one_line_with_the_servers_words(
    step: Step, fake: FakeChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.refusal = "maximum context length is 512 tokens"
    with pytest.raises(SystemExit) as ended:
        step.run()
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: {NAME}")
    assert "maximum context length is 512 tokens" in error
    assert not (step.folder / "samples.jsonl").exists()


def seeds_asked_for(fake: FakeChatServer) -> set[int]:
    """A request that a run left behind when it ended may reach the server during the next; it asks for nothing else."""
    return {body["seed"] for body in fake.requests}


def test_what_came_before_a_failure_is_kept(step: Step, fake: FakeChatServer) -> None:
    kept = {row["seed"] for row in step.run(samples_per_problem=1)}
    fake.refusal = "no"
    with pytest.raises(SystemExit):
        step.run()
    fake.refusal = None
    fake.requests.clear()
    rows = step.run()
    assert seeds_asked_for(fake) == {row["seed"] for row in rows} - kept


def test_after_a_kill_only_the_missing_ones_are_asked_for(step: Step, fake: FakeChatServer) -> None:
    fake.delay_sec = 0.3
    environment = {**os.environ, "FAKE_URL": fake.base_url, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, *step.arguments(requests_in_flight=1)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not (kept := list(step.folder.glob("state/generate/*/samples.jsonl"))) or kept[0].read_text().count("\n") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {json.loads(line)["seed"] for line in kept[0].read_text().rpartition("\n")[0].splitlines()}
    with open(kept[0], "a") as handle:
        handle.write('{"problem": "Prob0')  # torn by the kill
    assert not (step.folder / "samples.jsonl").exists()
    fake.requests.clear()
    rows = step.run()
    assert len(rows) == 6
    assert seeds_asked_for(fake) == {row["seed"] for row in rows} - finished


@pytest.mark.parametrize("key", ["samples_per_problem", "requests_in_flight"])
def test_settings_are_checked(step: Step, capsys: pytest.CaptureFixture[str], key: str) -> None:
    with pytest.raises(SystemExit):
        step.run(**{key: 0})
    assert "must be positive" in capsys.readouterr().err
    assert dataclasses.is_dataclass(generate.GenerateSettings)
