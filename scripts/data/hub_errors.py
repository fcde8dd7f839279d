"""Errors of the hub: which may pass by themselves and are tried again, and what the user does about the others."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import tenacity
from huggingface_hub import constants, errors
from huggingface_hub.utils import parse_ratelimit_headers

from scripts.common.errors import UserError
from scripts.common.files import disk_errors_in_one_line

# Answers that another try may not get; every other one (401, 403, 404 ...) is final.
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Repo:
    """A repository of the hub. `setting` is the key of the configuration that names it, for messages."""

    kind: Literal["dataset", "model"]
    id: str
    revision: str | None
    setting: str


@dataclass(frozen=True)
class Retries:
    """How often to try in a row without getting a byte further, and how long to wait in between: twice as long each
    time, and never less than the hub asks for."""

    tries: int = 5
    first_wait_sec: float = 1.0
    longest_wait_sec: float = 60.0


class Damaged(Exception):
    """A file was received whose size or content is not what the hub promises."""


class NoHub(Exception):
    """The endpoint answers, but not as a hub does."""


def may_pass(error: BaseException) -> bool:
    """Whether another try may succeed: a connection that failed or broke, or an answer of `PASSING_STATUS`."""
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code in PASSING_STATUS
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def retrying(retries: Retries, progress: Callable[[], int] = lambda: 0) -> tenacity.Retrying:
    """Calls a function again after errors that may pass, and raises the last one when patience is over.

    `progress` tells the bytes received so far: tries that bring some do not count, since a download of hours may be cut
    off often.
    """
    patience = _Patience(retries, progress)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass),
        stop=patience.is_over,
        wait=patience.wait_sec,
        before_sleep=announce,
        reraise=True,
    )


class _Patience:
    def __init__(self, retries: Retries, progress: Callable[[], int]) -> None:
        self._retries = retries
        self._progress = progress
        self._best = progress()
        self._best_try = 0

    def _fruitless(self, state: tenacity.RetryCallState) -> int:
        if (reached := self._progress()) > self._best:
            self._best, self._best_try = reached, state.attempt_number
        return state.attempt_number - self._best_try

    def is_over(self, state: tenacity.RetryCallState) -> bool:
        return self._fruitless(state) >= self._retries.tries

    def wait_sec(self, state: tenacity.RetryCallState) -> float:
        growing = self._retries.first_wait_sec * 2 ** max(self._fruitless(state) - 1, 0)
        return max(min(growing, self._retries.longest_wait_sec), _asked_wait_sec(_error_of(state)))


def _asked_wait_sec(error: BaseException | None) -> float:
    """The wait that the hub asks for, by either of its headers; 0 if it asks for none."""
    if not isinstance(error, errors.HfHubHTTPError):
        return 0.0
    limit = parse_ratelimit_headers(error.response.headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    asked = error.response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def announce(state: tenacity.RetryCallState) -> None:
    """One line of the log before a wait."""
    print(f"hub: {_first_line(_error_of(state))}; trying again in {state.upcoming_sleep:.1f} s", file=sys.stderr)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _first_line(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


@contextlib.contextmanager
def in_one_line(repo: Repo) -> Iterator[None]:
    """Errors of the hub, the network and the disk as a UserError that says what to do."""
    try:
        with disk_errors_in_one_line(Path(constants.HF_HOME)):
            yield
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        errors.OfflineModeIsEnabled,
        errors.RevisionResolutionError,
        errors.HFValidationError,
        Damaged,
        NoHub,
    ) as error:
        raise UserError(f"{repo.setting}: {_advice(repo, error)}") from None


def _advice(repo: Repo, error: Exception) -> str:
    """What went wrong with the repository and what to do about it."""
    name = f"the {repo.kind} {repo.id}"
    page = f"{constants.ENDPOINT}/{'datasets/' if repo.kind == 'dataset' else ''}{repo.id}"
    elsewhere = f"download it elsewhere and set {repo.setting} to the local path"
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    match error:
        case errors.OfflineModeIsEnabled() | errors.RevisionResolutionError():
            return f"HF_HUB_OFFLINE is set, and not all of {name} is in {constants.HF_HOME}: unset it, or {elsewhere}"
        case errors.HFValidationError():
            return str(error)
        case Damaged():
            return f"{error}, each time: something on the way changes it; try another network, or {elsewhere}"
        case NoHub() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return f"{constants.ENDPOINT} does not answer as a hub does: check HF_ENDPOINT and the proxy"
        case errors.GatedRepoError():
            return f"{name} is gated: accept its terms at {page}, then set HF_TOKEN to a token of that account"
        case errors.RevisionNotFoundError():
            return f"{name} has no revision {repo.revision or 'main'}; {page}/commits/main lists its commits"
        case errors.RepositoryNotFoundError():
            return f"the hub shows no {repo.kind} {repo.id}: check its name; if it is private, set HF_TOKEN"
        case errors.EntryNotFoundError():
            return f"the hub lists a file of {name} that it does not have; try again later, or {elsewhere}"
        case _ if status in (401, 403):
            return f"the hub refuses access to {name} ({status}): set HF_TOKEN to a token that may read it"
        case _ if status == 429:
            return "the hub limits how often it is asked (429): wait some minutes; with HF_TOKEN the limit is higher"
        case _ if status is not None:
            return f"the hub answers {status} for {name}: try again later, or {elsewhere}"
        case _:
            reason = _first_line(error)
            return f"cannot reach {constants.ENDPOINT} ({reason}): check network, proxy and HF_ENDPOINT, or {elsewhere}"
