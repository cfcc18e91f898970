"""mini: the same bytes everywhere, the native schemas, labels that are true and can be learned."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.tasks.sources import MINI_SPLITS, MINI_TASKS, MINI_TEXT, mini_path
from tools.mini.constructions import CONSTRUCTIONS, sentence
from tools.mini.draw import Draw
from tools.mini.files import split_bytes, text_bytes
from tools.mini.lexicon import nouns
from tools.mini.story import facts, passage
from tools.mini.tokens import text_of
from tools.mini.world import world

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = Path(__file__).with_name("mini.sha256")
"""SHA-256 of every file. They change with any word of a list: look at the new files before writing new hashes."""

PTB_TAGS = {
    "CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR", "JJS", "LS", "MD", "NN", "NNS", "NNP", "NNPS", "PDT", "POS",
    "PRP", "PRP$", "RB", "RBR", "RBS", "RP", "SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT",
    "WP", "WP$", "WRB", "#", "$", "``", "''", "-LRB-", "-RRB-", ",", ".", ":",
}  # fmt: skip
HEADERS = {
    "mrpc": ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
    "qqp": ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
    "qnli": ["index", "question", "sentence", "label"],
}
PLACES = {"cola": ([3], 1), "mrpc": ([3, 4], 0), "qqp": ([3, 4], 5), "qnli": ([1, 2], 3)}
POSITIVE = {"cola": "1", "mrpc": "1", "qqp": "1", "qnli": "entailment"}
FUNCTION_WORDS = {
    "the", "a", "an", "this", "these", "those", "that", "every", "each", "another", "both", "many", "several",
    "two", "three", "four", "five", "to", "did", "does", "do", "not", "has", "have", "is", "are", "was", "were",
    "can", "could", "may", "might", "must", "should", "will", "would", "who", "what", "she", "he", "they", "we",
    "i", "him", "her", "them", "us", "me", "himself", "herself", "themselves",
}  # fmt: skip
SQUAD = ("squad_v1", "squad_v2")
TAGGING = {"conll2003": " ", "ptb_pos": "\t"}


def shipped(task: str, split: str) -> bytes:
    return mini_path(task, split).read_bytes()


def table(task: str, split: str) -> list[list[str]]:
    lines = shipped(task, split).decode("utf-8-sig").splitlines()
    return [line.split("\t") for line in lines]


def examples(task: str, split: str) -> list[tuple[tuple[str, ...], bool]]:
    texts, label = PLACES[task]
    rows = table(task, split)[task != "cola" :]
    return [(tuple(row[place] for place in texts), row[label] == POSITIVE[task]) for row in rows]


def sentences(task: str, split: str) -> list[list[list[str]]]:
    blocks = shipped(task, split).decode().rstrip("\n").split("\n\n")
    columns = [[line.split(TAGGING[task]) for line in block.split("\n")] for block in blocks]
    return [block for block in columns if block[0][0] != "-DOCSTART-"]


def questions(task: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for article in json.loads(shipped(task, split))["data"]:
        for paragraph in article["paragraphs"]:
            for item in paragraph["qas"]:
                yield paragraph["context"], item


def texts(task: str, split: str) -> list[str]:
    """Return every text of a split."""
    if task in PLACES:
        return [text for row, _ in examples(task, split) for text in row]
    if task in TAGGING:
        return [" ".join(line[0] for line in block) for block in sentences(task, split)]
    return [text for context, item in questions(task, split) for text in (context, item["question"])]


class TestBytes:
    @pytest.mark.parametrize("task", MINI_TASKS)
    def test_every_file_has_its_golden_hash(self, task: str) -> None:
        golden = [line.split() for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
        hashes = [
            [sha256_file(mini_path(task, split)), f"{task}/{mini_path(task, split).name}"] for split in MINI_SPLITS
        ]
        assert hashes == [line for line in golden if line[1].startswith(f"{task}/")]

    @pytest.mark.parametrize("task", MINI_TASKS)
    def test_the_generator_makes_what_is_shipped(self, task: str) -> None:
        assert all(split_bytes(task, split) == shipped(task, split) for split in MINI_SPLITS)

    def test_the_text_is_made_of_the_training_splits(self) -> None:
        assert text_bytes() == MINI_TEXT.read_bytes()
        lines = MINI_TEXT.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(set(lines))
        assert set(texts("qqp", "train")) < set(lines)

    def test_a_new_process_with_another_hash_seed_makes_the_same(self) -> None:
        code = "import sys, tools.mini.files as made; sys.stdout.buffer.write(made.split_bytes('squad_v2', 'dev'))"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, env={"PYTHONHASHSEED": "77"}, cwd=ROOT, capture_output=True)
        assert done.stdout == shipped("squad_v2", "dev")

    def test_global_random_state_is_left_alone(self) -> None:
        before = random.getstate()
        list(world(Draw("any", "dev"), 3, set()))
        assert random.getstate() == before

    @pytest.mark.parametrize("task", MINI_TASKS)
    def test_the_command_writes_the_shipped_files(self, task: str, tmp_path: Path) -> None:
        done = CliRunner().invoke(app, ["mini", task, "--output", str(tmp_path / "out")], catch_exceptions=False)
        assert done.exit_code == 0
        files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        assert files == {mini_path(task, split).name: shipped(task, split) for split in MINI_SPLITS}
        assert not any(b"\r" in data for data in files.values())

    def test_names_of_files_are_native(self) -> None:
        assert mini_path("squad_v1", "dev").name == "dev-v1.1.json"
        assert mini_path("squad_v2", "train").name == "train-v2.0.json"
        assert mini_path("conll2003", "dev").name == "valid.txt"
        assert mini_path("mrpc", "test").name == "test.tsv"

    def test_an_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(InputError, match=r"unknown task 'colla'; expected one of squad_v1.*Did you mean 'cola'"):
            mini_path("colla", "train")
        with pytest.raises(
            InputError, match=r"unknown split 'tests'; expected one of train, dev, test.*Did you mean 'test'"
        ):
            mini_path("cola", "tests")

    def test_nothing_is_written_for_an_unknown_name(self, tmp_path: Path) -> None:
        done = CliRunner().invoke(app, ["mini", "sst2", "--output", str(tmp_path / "out")])
        assert isinstance(done.exception, InputError)
        assert "unknown task" in str(done.exception)
        assert not list(tmp_path.iterdir())


class TestSchema:
    @pytest.mark.parametrize("split", MINI_SPLITS)
    @pytest.mark.parametrize("task", HEADERS)
    def test_tables_have_header_and_columns(self, task: str, split: str) -> None:
        rows = table(task, split)
        assert rows[0] == HEADERS[task]
        assert {len(row) for row in rows} == {len(HEADERS[task])}
        assert all(all(cell == cell.strip() and cell for cell in row) for row in rows)

    def test_only_mrpc_has_a_byte_order_mark(self) -> None:
        assert [task for task in MINI_TASKS if shipped(task, "dev").startswith(b"\xef\xbb\xbf")] == ["mrpc"]

    @pytest.mark.parametrize("split", MINI_SPLITS)
    def test_cola_marks_unacceptable_sentences(self, split: str) -> None:
        assert {(len(row), row[1], row[2]) for row in table("cola", split)} == {(4, "1", ""), (4, "0", "*")}

    @pytest.mark.parametrize("task", ["mrpc", "qqp", "qnli"])
    def test_ids_are_unique(self, task: str) -> None:
        places = {"mrpc": (1, 2), "qqp": (1, 2), "qnli": (0,)}[task]
        ids = [row[place] for row in table(task, "train")[1:] for place in places]
        assert len(set(ids)) == len(ids)

    @pytest.mark.parametrize("split", MINI_SPLITS)
    @pytest.mark.parametrize("task", TAGGING)
    def test_columns_are_full(self, task: str, split: str) -> None:
        width = {"conll2003": 4, "ptb_pos": 2}[task]
        lines = [line for block in sentences(task, split) for line in block]
        assert {len(line) for line in lines} == {width}
        assert all(cell and not re.search(r"\s", cell) for line in lines for cell in line)

    def test_documents_of_conll_start_with_their_line(self) -> None:
        text = shipped("conll2003", "train").decode()
        assert text.startswith("-DOCSTART- -X- -X- O\n\n")
        assert text.count("-DOCSTART-") == 100

    @pytest.mark.parametrize("split", MINI_SPLITS)
    def test_parts_of_speech_are_of_the_penn_treebank(self, split: str) -> None:
        assert {line[1] for block in sentences("ptb_pos", split) for line in block} <= PTB_TAGS
        assert {line[1] for block in sentences("conll2003", split) for line in block} <= PTB_TAGS | {'"', "(", ")"}

    @pytest.mark.parametrize("column", [2, 3])
    @pytest.mark.parametrize("split", MINI_SPLITS)
    def test_chunks_and_entities_are_legal_bio2(self, split: str, column: int) -> None:
        for block in sentences("conll2003", split):
            before = "O"
            for line in block:
                tag = line[column]
                assert tag == "O" or tag[:2] in {"B-", "I-"}
                assert not tag.startswith("I-") or before[2:] == tag[2:], block
                before = tag

    def test_all_four_kinds_of_entities_are_common(self) -> None:
        starts = Counter(line[3] for block in sentences("conll2003", "dev") for line in block if line[3][0] == "B")
        assert set(starts) == {"B-PER", "B-ORG", "B-LOC", "B-MISC"}
        assert min(starts.values()) > 50

    @pytest.mark.parametrize("split", MINI_SPLITS)
    @pytest.mark.parametrize("task", SQUAD)
    def test_every_answer_stands_where_it_is_said_to(self, task: str, split: str) -> None:
        spans = [
            (context, answer)
            for context, item in questions(task, split)
            for answer in item["answers"] + item.get("plausible_answers", [])
        ]
        assert spans
        for context, answer in spans:
            assert context[answer["answer_start"] :].startswith(answer["text"])
            assert answer["text"] == answer["text"].strip() != ""

    def test_squad_files_have_the_fields_of_their_versions(self) -> None:
        first, second = (json.loads(shipped(task, "dev")) for task in SQUAD)
        assert (first["version"], second["version"]) == ("1.1", "v2.0")
        assert all(set(item) == {"id", "question", "answers"} for _, item in questions("squad_v1", "dev"))
        for _, item in questions("squad_v2", "dev"):
            assert set(item) - {"plausible_answers"} == {"id", "question", "answers", "is_impossible"}
            assert item["is_impossible"] == (not item["answers"]) == ("plausible_answers" in item)

    @pytest.mark.parametrize("task", SQUAD)
    def test_question_ids_are_unique_over_the_splits(self, task: str) -> None:
        ids = [item["id"] for split in MINI_SPLITS for _, item in questions(task, split)]
        assert len(set(ids)) == len(ids)


class TestSizes:
    @pytest.mark.parametrize("task", [*PLACES, *TAGGING])
    def test_rows(self, task: str) -> None:
        counts = [len(examples(task, split) if task in PLACES else sentences(task, split)) for split in MINI_SPLITS]
        assert counts == [3000 if task == "cola" else 2000, 300, 300]

    @pytest.mark.parametrize("task", SQUAD)
    def test_questions(self, task: str) -> None:
        counts = [sum(1 for _ in questions(task, split)) for split in MINI_SPLITS]
        assert counts == pytest.approx([1200, 200, 200], abs=4)

    @pytest.mark.parametrize("task", PLACES)
    def test_labels_are_balanced(self, task: str) -> None:
        low, high = (0.52, 0.68) if task == "cola" else (0.42, 0.58)
        for split in MINI_SPLITS:
            labels = [positive for _, positive in examples(task, split)]
            assert low < sum(labels) / len(labels) < high

    def test_a_third_of_the_questions_has_no_answer(self) -> None:
        items = [item for _, item in questions("squad_v2", "train")]
        assert 0.28 < sum(item["is_impossible"] for item in items) / len(items) < 0.39

    def test_thousands_of_words(self) -> None:
        found = {
            word.lower()
            for task in MINI_TASKS
            for split in MINI_SPLITS
            for text in texts(task, split)
            for word in re.findall(r"[^\W\d_]+", text)
        }
        assert len(found) >= 3000

    def test_letters_beyond_ascii_and_marks_of_all_sorts(self) -> None:
        text = "".join(text for task in MINI_TASKS for text in texts(task, "train"))
        assert len({letter for letter in text if ord(letter) > 127}) >= 30
        assert all(mark in text for mark in ",.?'\"-&()")
        assert re.search(r"\d,\d{3}", text)

    @pytest.mark.parametrize("task", MINI_TASKS)
    def test_splits_share_no_text(self, task: str) -> None:
        train, dev, test = (set(texts(task, split)) for split in MINI_SPLITS)
        assert not train & dev
        assert not (train | dev) & test

    @pytest.mark.parametrize("split", ["dev", "test"])
    def test_dev_and_test_hold_names_that_train_has_not(self, split: str) -> None:
        def people(part: str) -> set[str]:
            return {line[0] for block in sentences("conll2003", part) for line in block if line[3].endswith("PER")}

        new = people(split) - people("train")
        assert 0.2 < len(new) / len(people(split)) < 0.8


class TestLabelsAreTrue:
    @pytest.mark.parametrize("split", MINI_SPLITS)
    def test_paraphrases_agree_in_their_numbers_and_changed_facts_do_not(self, split: str) -> None:
        def numbers(text: str) -> set[str]:
            return set(re.findall(r"\d[\d,]*\b", text))

        rows = [(numbers(one), numbers(other), positive) for (one, other), positive in examples("mrpc", split)]
        assert all(one == other for one, other, positive in rows if positive)
        changed = [one != other for one, other, positive in rows if not positive and one and other]
        assert sum(changed) / len(changed) > 0.8

    def test_unanswerable_questions_ask_for_facts_that_the_passage_does_not_state(self) -> None:
        draw = Draw("test", "train")
        for entity in world(draw, 3, set())[0]:
            text = passage(draw, entity, 4)
            untold = [fact for fact in facts(entity.kind) if fact.name not in text.sentences]
            assert untold
            for fact in untold:
                assert not any(key.startswith(f"{fact.name}.") for key in text.stated)

    def test_passages_state_the_values_of_the_world(self) -> None:
        draw = Draw("test", "train")
        for entity in [entity for town in world(draw, 5, set()) for entity in town]:
            text = passage(draw, entity, 5)
            for key, (start, value) in text.stated.items():
                assert value.lower() == text_of(entity.values[key]).lower()
                assert text.text[start : start + len(value)] == value

    def test_no_broken_sentence_is_an_acceptable_one(self) -> None:
        draw = Draw("test", "train")
        for construction in CONSTRUCTIONS:
            good = {text_of(sentence(draw, construction)) for _ in range(300)}
            assert not good & {text_of(sentence(draw, construction, broken=True)) for _ in range(300)}

    def test_animals_with_one_form_never_break_a_determiner(self) -> None:
        same = {noun.singular for noun in nouns("animal") if noun.plural == noun.singular}
        assert "sheep" in same
        draw = Draw("test", "train")
        for _ in range(500):
            assert not same & {token.word.lower() for token in sentence(draw, "determiner", broken=True)}


class TestLearnable:
    def score(self, task: str, features: Any) -> tuple[float, float]:
        """Return the accuracy on dev of a linear model and of the more frequent label."""
        from sklearn.feature_extraction import FeatureHasher
        from sklearn.svm import LinearSVC

        hasher = FeatureHasher(2**17, input_type="string")
        train, dev = examples(task, "train"), examples(task, "dev")
        model = LinearSVC(C=0.1, random_state=0)
        model.fit(hasher.transform(features(row) for row, _ in train), [label for _, label in train])
        labels = [label for _, label in dev]
        right = model.score(hasher.transform(features(row) for row, _ in dev), labels)
        return right, max(Counter(labels).values()) / len(labels)

    def test_cola_from_pairs_of_words_and_endings(self) -> None:
        def features(row: tuple[str, ...]) -> list[str]:
            found = re.findall(r"[\w']+|[.?,]", row[0].lower())
            ends = [word if word in FUNCTION_WORDS else word[-3:] for word in found]
            return [
                *found,
                *(f"{a} {b}" for a, b in pairwise(ends)),
            ]

        right, chance = self.score("cola", features)
        assert right > chance + 0.08

    @pytest.mark.parametrize("task", ["qnli", "qqp"])
    def test_pairs_of_words_across_the_texts(self, task: str) -> None:
        def features(row: tuple[str, ...]) -> list[str]:
            one, other = (sorted(set(re.findall(r"[a-z]+", text))) for text in row)
            return [f"{a} {b}" for a in one for b in other]

        right, chance = self.score(task, features)
        assert right > chance + 0.2

    def test_mrpc_from_the_words_that_one_text_has_alone(self) -> None:
        def features(row: tuple[str, ...]) -> list[str]:
            one, other = (set(re.findall(r"\w+", text.lower())) for text in row)
            return [re.sub(r"\d+", "0", word) for word in sorted(one ^ other)] + [f"count {len(one ^ other)}"]

        right, chance = self.score("mrpc", features)
        assert right > chance + 0.2

    @pytest.mark.parametrize(("task", "low"), [("ptb_pos", 0.85), ("conll2003", 0.8)])
    def test_most_frequent_tag_of_a_word(self, task: str, low: float) -> None:
        counts: dict[str, Counter[str]] = {}
        for block in sentences(task, "train"):
            for line in block:
                counts.setdefault(line[0], Counter())[line[-1]] += 1
        other = {"ptb_pos": "NNP", "conll2003": "O"}[task]
        pairs = [(line[0], line[-1]) for block in sentences(task, "dev") for line in block]
        right = sum((counts[word].most_common(1)[0][0] if word in counts else other) == tag for word, tag in pairs)
        assert low < right / len(pairs) < 0.995
