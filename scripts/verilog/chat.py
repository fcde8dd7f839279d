"""Samples from a server of OpenAI's chat API, many requests in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import openai

from scripts.common.errors import UserError
from scripts.verilog.sampling import Request, Sampling

MAX_RETRIES = 5
REQUEST_TIMEOUT_SEC = 1800.0
FINISH_REASONS = ("stop", "length")


async def ask_all(
    base_url: str, model_name: str, requests: Sequence[Request], sampling: Sampling, requests_in_flight: int
) -> AsyncIterator[dict[str, Any]]:
    """Yields a row for each request as soon as its answer is there, in no order.

    The first request that fails for good, after retries of what may pass, ends the others with a UserError.
    """
    room = asyncio.Semaphore(requests_in_flight)
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="none", max_retries=MAX_RETRIES, timeout=REQUEST_TIMEOUT_SEC
    ) as client:

        async def limited(request: Request) -> dict[str, Any]:
            async with room:
                return await ask(client, model_name, request, sampling)

        tasks = [asyncio.create_task(limited(request)) for request in requests]
        try:
            for answer in asyncio.as_completed(tasks):
                yield await answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def ask(client: openai.AsyncOpenAI, model_name: str, request: Request, sampling: Sampling) -> dict[str, Any]:
    """One sample as a row: the prompt is the user's turn, the served model's own chat template does the rest."""
    try:
        completion = await client.chat.completions.create(
            model=model_name,
            messages=[{"role": "user", "content": request.prompt}],
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_completion_tokens=sampling.max_new_tokens,
            seed=request.seed,
        )
    except openai.OpenAIError as error:
        raise UserError(
            f"{request.problem}, sample {request.sample}: the server at {client.base_url} failed: {error}; "
            "see its log, and run again: finished samples are kept"
        ) from error
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
