"""Samples from a server of OpenAI's chat API, many requests in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import openai

from scripts.common.chat_format import TEMPLATE_ARGUMENTS, ChatFormat
from scripts.common.errors import UserError
from scripts.verilog.sampling import Request, Sampling

MAX_RETRIES = 5
REQUEST_TIMEOUT_SEC = 1800.0
FINISH_REASONS = ("stop", "length")


class Conversation:
    """Puts prompts to the chat API so that the server renders, token for token, what training saw.

    `tokenizer` is the served model's (transformers). A server that renders the paper's template must be started with
    `--trust-request-chat-template`.
    """

    def __init__(self, tokenizer: Any, chat: ChatFormat) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        end = chat.end_of_turn(tokenizer)
        # A marker of several tokens is no end for the server, unless it is asked for.
        self.stop = None if len(tokenizer.encode(end, add_special_tokens=False)) == 1 else [end]
        self.extra_body: dict[str, Any] = {"chat_template_kwargs": TEMPLATE_ARGUMENTS, "return_token_ids": True}
        if chat.template != "model":
            self.extra_body["chat_template"] = chat.jinja(tokenizer)

    def messages(self, prompt: str) -> list[Any]:
        return self._chat.messages(prompt)

    def prefix(self, prompt: str) -> list[int]:
        """The tokens before the answer in a training row with this prompt."""
        return self._tokenizer.encode(self._chat.generation_prompt(self._tokenizer, prompt), add_special_tokens=False)


async def ask_all(
    base_url: str,
    model_name: str,
    requests: Sequence[Request],
    conversation: Conversation,
    sampling: Sampling,
    requests_in_flight: int,
    engine: str,
) -> AsyncIterator[dict[str, Any]]:
    """Yields a row for each request as soon as its answer is there, in no order; `engine` names what answers.

    The first request that fails for good, after retries of what may pass, ends the others with a UserError.
    """
    room = asyncio.Semaphore(requests_in_flight)
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="none", max_retries=MAX_RETRIES, timeout=REQUEST_TIMEOUT_SEC
    ) as client:

        async def limited(request: Request) -> dict[str, Any]:
            async with room:
                return {**await ask(client, model_name, request, conversation, sampling), "engine": engine}

        tasks = [asyncio.create_task(limited(request)) for request in requests]
        try:
            for answer in asyncio.as_completed(tasks):
                yield await answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def ask(
    client: openai.AsyncOpenAI, model_name: str, request: Request, conversation: Conversation, sampling: Sampling
) -> dict[str, Any]:
    """One sample as a row. Where the server tells the tokens it made of the prompt, they must be training's."""
    try:
        completion = await client.chat.completions.create(
            model=model_name,
            messages=conversation.messages(request.prompt),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_completion_tokens=sampling.max_new_tokens,
            seed=request.seed,
            stop=conversation.stop,
            extra_body=conversation.extra_body,
        )
    except openai.OpenAIError as error:
        raise UserError(
            f"{request.problem}, sample {request.sample}: the server at {client.base_url} failed: {error}; "
            "see its log, and run again: finished samples are kept"
        ) from error
    served_prefix = (completion.model_extra or {}).get("prompt_token_ids")
    if served_prefix is not None and served_prefix != conversation.prefix(request.prompt):
        raise UserError(
            f"{request.problem}: the server made {len(served_prefix)} tokens of the prompt, others than training saw; "
            "does it serve the chat template of the trained model's folder?"
        )
    choice = completion.choices[0]
    if choice.finish_reason not in FINISH_REASONS or completion.usage is None:
        raise UserError(
            f"{request.problem}, sample {request.sample}: the server ended with finish_reason {choice.finish_reason!r} "
            f"and usage {completion.usage}; expected one of {FINISH_REASONS} and a count of tokens"
        )
    return {
        "problem": request.problem,
        "sample": request.sample,
        "seed": request.seed,
        "text": choice.message.content or "",
        "finish_reason": choice.finish_reason,
        "completion_tokens": completion.usage.completion_tokens,
    }
