"""The shipped model and tokenizer, and how the model is made."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma4ForConditionalGeneration

from scripts.common.chat_format import ChatFormat
from scripts.data.codev import Sample, parse_row
from scripts.data.render import Renderer, TokenRow
from scripts.mini.architecture import MULTIMODAL_IDS
from scripts.mini.generator import problem_tasks
from scripts.mini.make_model import main as make_model
from scripts.mini.make_model import padded_vocabulary
from scripts.mini.make_tokenizer import END_OF_TURN_ID, SPECIAL_TOKENS
from scripts.mini.make_tokenizer import main as make_tokenizer
from scripts.mini.pretraining import IGNORED, Pretraining, collate, documents, learning_rate_factor

CORPUS = Path("resources/mini/corpus.jsonl")
MODEL = Path("resources/mini/model")
TOKENIZER: Any = AutoTokenizer.from_pretrained(MODEL)
CONFIG = json.loads((MODEL / "config.json").read_text())


def test_the_folder_is_under_8_mb() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 8_000_000


def test_the_configuration_has_the_peculiarities_of_the_31b() -> None:
    text = CONFIG["text_config"]
    assert CONFIG["architectures"] == ["Gemma4ForConditionalGeneration"]
    assert CONFIG["vision_config"] is None
    assert text["layer_types"] == ["sliding_attention"] * 5 + ["full_attention"]
    assert text["head_dim"] != text["global_head_dim"]
    assert text["num_global_key_value_heads"] == 4
    assert text["num_attention_heads"] > text["num_key_value_heads"]
    assert text["attention_k_eq_v"] is True
    assert text["final_logit_softcapping"] == 30.0
    assert text["tie_word_embeddings"] is True
    assert text["hidden_size_per_layer_input"] == 0
    assert text["rope_parameters"]["full_attention"]["partial_rotary_factor"] == 0.25
    assert text["sliding_window"] < 85, "the mean row is longer than the window"


def test_the_checkpoint_names_its_tensors_as_the_published_ones() -> None:
    with safe_open(MODEL / "model.safetensors", framework="pt") as tensors:
        names = set(tensors.keys())
    assert all(name.startswith("model.language_model.") for name in names)
    assert "model.language_model.layers.4.self_attn.v_proj.weight" in names
    assert "model.language_model.layers.5.self_attn.k_proj.weight" in names
    assert "model.language_model.layers.5.self_attn.v_proj.weight" not in names


def test_both_classes_load_it_and_give_the_same_logits() -> None:
    ids = torch.tensor([TOKENIZER.encode("module TopModule(input a);")])
    logits = []
    for cls in (AutoModelForCausalLM, Gemma4ForConditionalGeneration):
        model = cls.from_pretrained(MODEL, dtype=torch.float32).eval()
        with torch.no_grad():
            logits.append(model(input_ids=ids).logits)
    assert torch.equal(*logits)
    assert logits[0].shape == (1, ids.shape[1], CONFIG["text_config"]["vocab_size"])


def test_generation_stops_at_the_end_of_a_turn() -> None:
    assert json.loads((MODEL / "generation_config.json").read_text())["eos_token_id"] == [1, END_OF_TURN_ID]
    assert TOKENIZER.convert_tokens_to_ids("<turn|>") == END_OF_TURN_ID


def test_the_vocabulary_has_room_for_multimodal_ids_that_no_text_has() -> None:
    size = CONFIG["text_config"]["vocab_size"]
    assert size == padded_vocabulary(len(TOKENIZER))
    ids = [CONFIG[name] for name in MULTIMODAL_IDS]
    assert len(set(ids)) == len(ids)
    assert all(len(TOKENIZER) <= token < size for token in ids)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=120))
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    ids = TOKENIZER.encode(text, add_special_tokens=False)
    assert TOKENIZER.decode(ids) == text


def test_markers_are_single_tokens() -> None:
    for number, token in enumerate(SPECIAL_TOKENS):
        assert TOKENIZER.encode(token, add_special_tokens=False) == [number]


def test_the_chat_template_renders_gemma_4s_turns() -> None:
    turns = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": " U\n"},
        {"role": "assistant", "content": "M"},
    ]
    text = TOKENIZER.apply_chat_template(turns, tokenize=False)
    assert text == "<bos><|turn>system\nS<turn|>\n<|turn>user\nU<turn|>\n<|turn>model\nM<turn|>\n"
    asked = TOKENIZER.apply_chat_template(turns[1:2], tokenize=False, add_generation_prompt=True)
    assert asked == "<bos><|turn>user\nU<turn|>\n<|turn>model\n"


def test_rows_fit_the_mini_runs_limit_but_for_the_tables() -> None:
    parsed = [parse_row("row", **json.loads(line)) for line in CORPUS.read_text().splitlines()]
    samples = [sample for sample in parsed if isinstance(sample, Sample)]
    rows = Renderer(TOKENIZER, ChatFormat("model", None)).render(samples)
    lengths = [len(row.input_ids) for row in rows if isinstance(row, TokenRow)]
    assert len(lengths) == len(samples)
    assert sum(length > 192 for length in lengths) == 14
    fitting = [length for length in lengths if length <= 192]
    assert 64 < sum(fitting) / len(fitting) < 130


def test_the_tokenizer_is_remade_to_the_byte(tmp_path: Path) -> None:
    make_tokenizer(["--output", str(tmp_path)])
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (MODEL / path.name).read_bytes(), path.name


def test_documents_hold_no_circuit_of_a_problem_and_mostly_unanswered_chats() -> None:
    texts = [TOKENIZER.decode(ids) for ids in itertools.islice(documents(TOKENIZER, Pretraining()), 2000)]
    chats = [text for text in texts if "<|turn>user" in text]
    assert 0.25 < len(chats) / len(texts) < 0.35
    problems = [task.module() for task in problem_tasks(0)]
    assert not [text for text in texts if any(module in text for module in problems)]


def test_collated_rows_are_padded_right_and_only_masked_tokens_count() -> None:
    ids, labels = collate([[5, 6, 7], [8]], [[0, 1, 1], [1]])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert labels.tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert max(factors) == pytest.approx(1)
    assert factors[100] == pytest.approx(0)


@pytest.mark.parametrize("fractions", [(0.3, 0.4), (1.1, 0.1), (0.3, -0.1)])
def test_fractions_that_do_not_fit_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        Pretraining(chat_fraction=fractions[0], answered_fraction=fractions[1])


def test_the_model_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        make_model(["--steps", "2", "--output", str(tmp_path / name)])
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second
    written = json.loads((tmp_path / "first" / "config.json").read_text())
    assert written == CONFIG
