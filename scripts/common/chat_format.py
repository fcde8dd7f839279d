"""How a prompt becomes a chat: one definition for the prefix seen in training and the generation prompt at evaluation.

Thinking is off in both. Where a model's template then opens an empty thought (31B does), the generation prompt holds
it, and so does the prefix in training, since it is the generation prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from scripts.common.errors import UserError

TemplateName = Literal["model", "paper"]
PAPER_TEMPLATE = Path(__file__).resolve().parents[2] / "resources/templates/start_of_turn.jinja"
# What a server's chat API must be told, so that it renders what training saw.
TEMPLATE_ARGUMENTS = {"enable_thinking": False}
# Stands for the answer when a template is asked what it writes after one.
_ANSWER = "0123456789"


class ChatTokenizer(Protocol):
    """What is used of a transformers tokenizer here."""

    chat_template: Any

    def apply_chat_template(self, conversation: list[dict[str, str]], **kwargs: Any) -> Any: ...


@dataclass(frozen=True)
class ChatFormat:
    """`template`: the model's own chat template, or the paper's `<start_of_turn>`, which has no system turn."""

    template: TemplateName
    system_prompt: str | None

    def __post_init__(self) -> None:
        if self.template == "paper" and self.system_prompt is not None:
            raise ValueError("the paper's template has no system turn: system_prompt must be null")

    def messages(self, prompt: str) -> list[dict[str, str]]:
        """The turns before the answer, for a chat API or a template."""
        system = [] if self.system_prompt is None else [{"role": "system", "content": self.system_prompt}]
        return [*system, {"role": "user", "content": prompt}]

    def jinja(self, tokenizer: ChatTokenizer) -> str:
        """The template's source. Raises UserError for a tokenizer without one."""
        if self.template == "paper":
            return PAPER_TEMPLATE.read_text(encoding="utf-8")
        if not isinstance(tokenizer.chat_template, str):
            raise UserError("the base model's tokenizer has no chat template: set chat.template: paper, or add one")
        return tokenizer.chat_template

    def generation_prompt(self, tokenizer: ChatTokenizer, prompt: str) -> str:
        """The text that a chat server puts before the answer to `prompt`."""
        return self._render(tokenizer, self.messages(prompt), add_generation_prompt=True)

    def end_of_turn(self, tokenizer: ChatTokenizer) -> str:
        """The marker that the template writes after an answer, without the white space that follows it."""
        turns = [*self.messages("0"), {"role": "assistant", "content": _ANSWER}]
        text = self._render(tokenizer, turns, add_generation_prompt=False)
        marker = text.rpartition(_ANSWER)[2].strip()
        if not marker or _ANSWER not in text:
            raise UserError("the base model's chat template ends an answer with no marker: nothing would end a turn")
        return marker

    def _render(self, tokenizer: ChatTokenizer, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        import jinja2

        try:
            return tokenizer.apply_chat_template(
                turns,
                chat_template=self.jinja(tokenizer),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **TEMPLATE_ARGUMENTS,
            )
        except jinja2.TemplateError as error:
            system = " (chat.system_prompt: null leaves the system turn out)" if self.system_prompt else ""
            raise UserError(f"the base model's chat template refuses the turns: {error}{system}") from None
