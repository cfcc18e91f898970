"""Prompts: those that are shipped, a user's own, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_char.common import InputError
from robustbench_char.inference.chat.prompts import load_prompt, load_prompt_file, prompt_names
from robustbench_char.tasks.base import Example
from robustbench_char.tasks.registry import TASKS, get_task

TYPES = ("PER", "ORG")


def example(**fields: str | tuple[str, ...]) -> Example:
    return Example(0, "0", "key", fields)


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_a_prompt_that_shows_all_its_texts(name: str) -> None:
    task = get_task(name)
    prompt = load_prompt(None, task, task.labels or TYPES)
    texts = {field: ("one", "two") if task.family == "tagging" else f"the {field}" for field in task.fields}
    messages = prompt.messages(example(**texts))
    assert [message["role"] for message in messages] == ["system", "user"]
    asked = messages[1]["content"]
    for text in ["one two"] if task.family == "tagging" else [str(text) for text in texts.values()]:
        assert text in asked
    for choice in prompt.choices if task.family != "question_answering" else ():
        assert choice in asked
    assert ("no answer" in asked) == (name == "squad_v2")


def test_shipped_prompts() -> None:
    assert prompt_names() == ["classification", "question_answering", "tagging", "tagging_words"]
    assert all(load_prompt_file(name).about for name in prompt_names())
    assert load_prompt(None, get_task("ptb_pos"), TYPES).name == "tagging_words"


def test_a_text_is_no_placeholder() -> None:
    prompt = load_prompt(None, get_task("cola"), ("a", "b"))
    assert "sentence: Say {labels} and {x}." in prompt.messages(example(sentence="Say {labels} and {x}."))[1]["content"]


def test_half_of_a_surrogate_pair_is_asked_as_a_question_mark() -> None:
    prompt = load_prompt(None, get_task("cola"), ("a", "b"))
    assert "sentence: Wh?y" in prompt.messages(example(sentence="Wh\ud83dy"))[1]["content"]


def own(tmp_path: Path, user: str, family: str = "classification", **more: str) -> str:
    path = tmp_path / "own.yaml"
    lines = ["schema: 1", f"family: {family}", f"user: {user!r}", *(f"{key}: {text!r}" for key, text in more.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_an_own_prompt_without_system_message(tmp_path: Path) -> None:
    name = own(tmp_path, 'As {"x": 1}: {sentence1} | {sentence2} -> {labels}', about="mine")
    task = get_task("mrpc")
    prompt = load_prompt(name, task, task.labels or ())
    messages = prompt.messages(example(sentence1="A", sentence2="B"))
    assert messages == [{"role": "user", "content": 'As {"x": 1}: A | B -> not_equivalent, equivalent'}]
    assert prompt.file.sha256 == prompt.file.model_copy(update={"about": "other"}).sha256
    assert prompt.file.sha256 != prompt.file.model_copy(update={"user": "other"}).sha256


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("{fields} {labls}", r"own.yaml: user: found no placeholder \{labels\}; .*It has 'labls'\.$"),
        ("{labels} {sentence1}", r"found no placeholder \{sentence2\}; expected all that the model must see"),
        ("{labels} {fields} {context}", r"found the placeholder \{context\}; expected one of \{fields\}, \{labels\}"),
    ],
)
def test_placeholders(tmp_path: Path, user: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_prompt(own(tmp_path, user), get_task("mrpc"), ("a", "b"))


def test_a_prompt_of_another_family_or_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--prompt: found the prompt tagging, which is for tagging; expected one for"):
        load_prompt("tagging", get_task("mrpc"), ("a", "b"))
    with pytest.raises(InputError, match=r"--prompt: found unknown name 'tagger'.*Did you mean 'tagging'"):
        load_prompt("tagger", get_task("mrpc"), ("a", "b"))
    with pytest.raises(InputError, match=r"own.yaml: family: found 'parsing'; expected 'classification', 'tagging'"):
        load_prompt_file(own(tmp_path, "{labels} {fields}", family="parsing"))
    with pytest.raises(InputError, match=r"unknown key 'sytem'.*Did you mean 'system'"):
        load_prompt_file(own(tmp_path, "{labels} {fields}", sytem="x"))
