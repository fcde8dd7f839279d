"""Tokens and mask of a chat: the prefix is the server's, the loss is over the answer and its end of turn, exactly."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.chat_format import ChatFormat
from scripts.common.errors import UserError
from scripts.data.codev import Sample
from scripts.data.render import Renderer, TokenRow
from scripts.data.segments import compare_segments
from tests.unit.data.example_tokenizers import TEMPLATES, TOKENIZERS, mini, sentencepiece_like

# Markers, fences, empty lines and spaces at the ends among arbitrary Unicode.
PIECES = st.sampled_from(
    ["<|turn>", "<turn|>", "<end_of_turn>", "<start_of_turn>model\n", "<eos>", "<bos>", "<unk>", "<channel|>",
     "```verilog\n", "```\n", "\n", "\n\n", " ", "  ", "\t", "module TopModule(",
     "endmodule", "<0x0A>", "é", "漢", "🙂"]
)  # fmt: skip
# U+2581 marks a space in SentencePiece's vocabulary: a text that holds it cannot be told from one with a space.
TEXT = st.lists(
    st.one_of(PIECES, st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=12)), max_size=8
)
TEXT = TEXT.map("".join)
FORMATS = [ChatFormat("model", None), ChatFormat("model", "Write Verilog."), ChatFormat("paper", None)]


@pytest.fixture(params=[(name, template) for name in TOKENIZERS for template in TEMPLATES], ids="-".join)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    name, template = request.param
    tokenizer = TOKENIZERS[name]()
    own = tokenizer.chat_template
    tokenizer.chat_template = TEMPLATES[template]
    yield tokenizer
    tokenizer.chat_template = own


@pytest.mark.parametrize("chat", FORMATS, ids=str)
def test_prefix_and_mask_hold_for_any_text(tokenizer: Any, chat: ChatFormat) -> None:
    renderer = Renderer(tokenizer, chat)

    @settings(max_examples=60, deadline=None)
    @given(prompt=TEXT, answer=TEXT)
    def holds(prompt: str, answer: str) -> None:
        (row,) = renderer.render([Sample("row1", prompt, answer)])
        assert isinstance(row, TokenRow), row
        served = tokenizer.apply_chat_template(
            chat.messages(prompt),
            chat_template=chat.jinja(tokenizer),
            add_generation_prompt=True,
            tokenize=True,
            enable_thinking=False,
        )
        assert row.input_ids[: row.answer_start].tolist() == served["input_ids"]
        masked = row.input_ids[row.answer_start :].tolist()
        assert tokenizer.backend_tokenizer.decode(masked, skip_special_tokens=False) == answer + renderer.end_of_turn

    holds()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_rows_rendered_together_are_those_rendered_alone(name: str) -> None:
    tokenizer = TOKENIZERS[name]()

    @settings(max_examples=30, deadline=None)
    @given(texts=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
    def holds(texts: list[tuple[str, str]]) -> None:
        samples = [Sample(f"row{i}", prompt, answer) for i, (prompt, answer) in enumerate(texts)]
        together = Renderer(tokenizer, FORMATS[0]).render(samples)
        for sample, row in zip(samples, together, strict=True):
            (alone,) = Renderer(tokenizer, FORMATS[0]).render([sample])
            assert isinstance(row, TokenRow)
            assert isinstance(alone, TokenRow)
            assert row.input_ids.tolist() == alone.input_ids.tolist()

    holds()


def test_the_end_of_turn_is_the_models_own_and_one_token() -> None:
    renderer = Renderer(mini(), ChatFormat("model", None))
    assert renderer.end_of_turn == "<turn|>"
    (row,) = renderer.render([Sample("row1", "p", "module m; endmodule")])
    assert isinstance(row, TokenRow)
    assert row.input_ids[-1] == mini().convert_tokens_to_ids("<turn|>")


def test_the_turns_are_gemma_4s_and_the_papers() -> None:
    assert ChatFormat("model", None).generation_prompt(mini(), "Go.") == "<bos><|turn>user\nGo.<turn|>\n<|turn>model\n"
    assert ChatFormat("paper", None).generation_prompt(mini(), "Go.") == (
        "<bos><start_of_turn>user\nGo.<end_of_turn>\n<start_of_turn>model\n"
    )


def test_an_empty_thought_is_in_the_prefix_where_the_template_opens_one() -> None:
    prompt = ChatFormat("model", "S.").generation_prompt(sentencepiece_like(), "Go.")
    assert (
        prompt == "<bos><|turn>system\nS.<turn|>\n<|turn>user\nGo.<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
    )


def test_an_answer_that_cannot_be_spelled_is_named() -> None:
    (row,) = Renderer(sentencepiece_like(), FORMATS[0]).render([Sample("row1", "p", "a▁b")])
    assert isinstance(row, str)
    assert "cannot spell the answer" in row
    assert "'▁b" in row


def test_a_template_that_refuses_a_system_turn_is_one_line() -> None:
    tokenizer = mini()
    own, tokenizer.chat_template = tokenizer.chat_template, "{{ raise_exception('no system turn') }}"
    try:
        with pytest.raises(UserError, match=r"refuses the turns: no system turn \(chat.system_prompt: null"):
            Renderer(tokenizer, ChatFormat("model", "S."))
        tokenizer.chat_template = None
        with pytest.raises(UserError, match="has no chat template"):
            Renderer(tokenizer, ChatFormat("model", None))
        tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
        with pytest.raises(UserError, match="ends an answer with no marker"):
            Renderer(tokenizer, ChatFormat("model", None))
        tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}(end){% endfor %}"
        with pytest.raises(UserError, match=r"no single token for its end of turn '\(end\)'"):
            Renderer(tokenizer, ChatFormat("model", None))
    finally:
        tokenizer.chat_template = own


def test_the_papers_template_has_no_system_turn() -> None:
    with pytest.raises(ValueError, match="no system turn"):
        ChatFormat("paper", "S.")


def test_turns_tokenised_apart_differ_where_a_token_reaches_over_a_boundary() -> None:
    """Counted by itself, the model turn's header ends in a line end; beside an answer that begins with another, this
    vocabulary has one token for both and the word after, and the mask is off by it."""
    samples = [Sample("row1", "Go.", "endmodule"), Sample("row2", "Go.", "\nmodule")]
    assert asdict(compare_segments(sentencepiece_like(), samples)) == {
        "rows": 2, "rows_with_other_tokens": 2, "rows_with_other_mask": 1,
    }  # fmt: skip
    assert asdict(compare_segments(mini(), samples)) == {
        "rows": 2, "rows_with_other_tokens": 0, "rows_with_other_mask": 0,
    }  # fmt: skip
