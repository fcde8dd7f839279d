"""A stand-in for the chat API of a model server: counts the requests and answers, or fails, as it is told."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeChatServer:
    """`failures` requests get a 503 first; then each takes `delay_sec`; `refusal` is the text of a 400 for all."""

    def __init__(self, delay_sec: float = 0.0, failures: int = 0, refusal: str | None = None) -> None:
        self.delay_sec = delay_sec
        self.failures = failures
        self.refusal = refusal
        self.finish_reason = "stop"
        self.tokenizer: Any = None  # with one, the tokens of the prompt are told, as vLLM does when asked
        self.requests: list[dict[str, Any]] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        self.base_url = ""

    @contextlib.contextmanager
    def running(self) -> Iterator["FakeChatServer"]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = fake.answer(self.path, body)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path != "/v1/chat/completions":
            return 404, {"error": {"message": path}}
        with self._lock:
            if self.failures:
                self.failures -= 1
                return 503, {"error": {"message": "busy"}}
            self.requests.append(body)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        time.sleep(self.delay_sec)
        with self._lock:
            self._in_flight -= 1
        if self.refusal:
            return 400, {"error": {"message": self.refusal, "type": "BadRequestError", "code": 400}}
        return 200, self.completion(body)

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": f"answer to {body['messages'][0]['content']} by {body['seed']}"}
        told = {"prompt_token_ids": self._prompt_token_ids(body)} if self.tokenizer and body["return_token_ids"] else {}
        return {
            **told,
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10},
        }

    def _prompt_token_ids(self, body: dict[str, Any]) -> list[int]:
        rendered = self.tokenizer.apply_chat_template(
            body["messages"],
            chat_template=body.get("chat_template"),
            add_generation_prompt=True,
            **body["chat_template_kwargs"],
        )
        return list(rendered["input_ids"])
