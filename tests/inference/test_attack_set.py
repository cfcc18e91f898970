"""What breakdowns know of words: clean forms from the ledger, numbers of pieces, operators."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from robustbench_char.attack_sets import attack_file
from robustbench_char.attack_sets.fingerprints import clean_fingerprints, fingerprints
from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, ledger_table
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.inference._attack_set import AttackSet, example_words, matching_attack, piece_counts
from robustbench_char.metrics.breakdowns import WordState
from robustbench_char.models.checkpoints import load_tokenizer
from robustbench_char.tasks.base import Example
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def tokenizer(tiny_base: str) -> PreTrainedTokenizerFast:
    return load_tokenizer(Path(tiny_base), words=True)


@pytest.mark.parametrize("suite", ["mixed", "charbert_2020"])
def test_edits_are_undone_word_by_word(suite: str) -> None:
    (loaded,) = load_suites(suite, task="conll2003")

    @given(st.lists(st.text("abcdé-'.AB", min_size=1, max_size=12), min_size=1, max_size=12))
    def check(words: list[str]) -> None:
        keys = text_keys(iter(["0"]), seed=1, family=loaded.family, task="conll2003")
        outcome = attack_batch(Batch([" ".join(words)], keys, tokens=True), loaded)
        edits = ledger_table(outcome, [Slot(0, "0", "tokens")]).to_pylist()
        tokens = tuple(outcome.texts[0].split(" "))
        forms: list[str] = []
        example_words(lambda given: forms.extend(given) or {}, [Example(0, "0", "0", {"tokens": tokens})], [edits],
                      attacked=True)  # fmt: skip
        assert (forms[::2], forms[1::2]) == (words, list(tokens))

    check()


def edit(operator: str, start: int, removed: str, inserted: str, before: str, after: str) -> dict[str, object]:
    return {
        "field": "tokens", "operator": operator, "start_clean": start, "start_attacked": start, "removed": removed,
        "inserted": inserted, "word_before": before, "word_after": after,
    }  # fmt: skip


def test_words_of_a_tagging(tokenizer: PreTrainedTokenizerFast) -> None:
    example = Example(0, "a", "a", {"tokens": ("anna", "lvies", "in", "oslo")}, ("O",) * 4)
    (found,) = example_words(
        partial(piece_counts, tokenizer), [example], [[edit("swap", 6, "iv", "vi", "lives", "lvies")]], attacked=True
    )
    assert (found.length, found.attacked) == (4, True)
    assert found.words[0] == WordState(4, 1, 1)
    assert found.words[1] == WordState(5, 1, 5, ("swap",))
    assert [word.operators for word in found.words] == [(), ("swap",), (), ()]


def test_words_of_texts_are_those_that_were_hit(tokenizer: PreTrainedTokenizerFast) -> None:
    example = Example(0, "a", "a", {"question": "what colour is the bot", "context": "the boat is red"})
    hit = [edit("drop", 20, "a", "", "boat", "bot")]
    clean, attacked = (
        example_words(partial(piece_counts, tokenizer), [example], [edits], attacked=bool(edits))[0]
        for edits in ([], hit)
    )
    assert (clean.words, clean.length) == ([], 5)
    assert attacked.words == [WordState(4, 1, 3, ("drop",))]


def test_pieces_of_a_word_that_the_tokenizer_drops(tokenizer: PreTrainedTokenizerFast) -> None:
    assert piece_counts(tokenizer, ["oslo", "\u200d", "oslo"]) == {"oslo": 1, "\u200d": 0}
    assert piece_counts(tokenizer, []) == {}


def test_a_record_says_how_many_edits_a_word_gets_at_most(tmp_path: Path) -> None:
    (tmp_path / "ops.txt").write_text("--s-i xy\n-i s\n")
    (tmp_path / "clean.txt").write_text("Anna B-PER\na O\n")
    manifest = attack_file("conll2003", tmp_path / "clean.txt", suite="operations", operations=tmp_path / "ops.txt",
                           output=tmp_path / "out")  # fmt: skip
    info = AttackSet(tmp_path / "out", manifest).info()
    assert (info.word_edits, info.edits, info.counts_by_operator) == (2, 3, {"substitute": 1, "insert": 2})


def test_words_are_compared_where_there_are_as_many(tmp_path: Path) -> None:
    """Sensitivity and prices match the words of clean and attacked text one by one."""
    (tmp_path / "clean.tsv").write_text("x\t1\t\tNobody saw the harbour.\n")
    for suite in ("insert_space", "ends"):
        attack_file("cola", tmp_path / "clean.tsv", suite=suite, output=tmp_path / suite)
    task = get_task("cola")
    clean = open_source(task, input=tmp_path / "clean.tsv")
    with pytest.raises(InputError, match=r"insert_space, which changes the number of words.* compared word by word"):
        matching_attack(tmp_path / "insert_space", clean, task)
    info = matching_attack(tmp_path / "ends", clean, task).info()
    assert info.character_error_rate == pytest.approx(info.edits / 23, rel=0.5)


def test_two_contexts_that_the_attack_made_equal(tmp_path: Path) -> None:
    """Each question has the edits of its own, in breakdowns and where it is known again."""
    texts = ("The stattion is up.", "The staation is up.")
    lines = [
        {"id": f"{number}", "title": "", "context": text, "question": f"Who is number {number}?",
         "answers": {"text": ["The"], "answer_start": [0]}}
        for number, text in enumerate((texts[0], texts[0], texts[1], texts[1]))
    ]  # fmt: skip
    clean, equal = tmp_path / "dev.jsonl", 0
    clean.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    task = get_task("squad_v1")
    known = fingerprints(open_source(task, input=clean).examples()).tolist()
    for seed in range(40):
        folder = tmp_path / str(seed)
        manifest = attack_file("squad_v1", clean, suite="drop", seed=seed, output=folder)
        examples = list(open_source(task, input=folder / clean.name).examples())
        edits = AttackSet(folder, manifest).edits(examples)
        words = [[edit["word_before"] for edit in own if edit["field"] == "context"] for own in edits]
        assert words[0] == words[1] != words[2] == words[3]
        assert clean_fingerprints(folder, manifest, examples).tolist() == known
        equal += len({example.fields["context"] for example in examples}) == 1
    assert equal
