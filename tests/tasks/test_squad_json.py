"""SQuAD's JSON: literals are patched in place, and every other byte stays; answers stand where they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.metrics.base import QaGold
from robustbench_char.tasks import Answer, Attacked, Edit, get_task
from robustbench_char.tasks.base import Example, text_key
from robustbench_char.tasks.formats.json_lines import Node, parse
from robustbench_char.tasks.labels import gold_of

V1 = """{"version": "1.1",
 "data":[ {"title": "R\\u00edga", "paragraphs": [
   {"qas" : [
      {"answers": [{"answer_start": 8, "text": "caf\\u00e9"}, {"text":"caf\\u00e9 \\/ bar","answer_start":8}],
       "question": "What \\"was\\" it?", "id": "q1"},
      {"id": "q2",  "question": "Where?", "answers": [ {"answer_start" : 25,"text":"R\\u00edga"} ]}],
    "context": "It was\\ta caf\\u00e9 \\/ bar \\ud83d\\ude00 in R\\u00edga."}]}]
}
""".replace("8,", "9,").replace(":8}", ":9}")
V2 = (
    '{"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"qas": ['
    '{"question": "Who built it?", "id": "a", "answers": [], "is_impossible": true,'
    ' "plausible_answers": [{"text": "Anna Berg", "answer_start": 0}]},'
    '{"question": "Who sang?", "id": "b", "answers": [{"text": "Anna Berg", "answer_start": 0}],'
    ' "is_impossible": false}],'
    ' "context": "Anna Berg sang in Oslo."}]}]}'
)


def document(context: str, *qas: dict[str, Any]) -> str:
    return json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(qas)}]}]})


def qa(name: str, *answers: tuple[int, str], **more: Any) -> dict[str, Any]:
    found = [{"answer_start": start, "text": text} for start, text in answers]
    return {"id": name, "question": f"{name}?", "answers": found, **more}


def test_reads_version_1(kit: Any) -> None:
    first, second = kit.open("squad_v1", V1).examples()
    context = "It was\ta café / bar 😀 in Ríga."
    assert first.fields == {"question": 'What "was" it?', "context": context}
    assert (first.row, first.id, first.key, first.context_key) == (0, "q1", "q1", text_key(context))
    assert first.answers == (Answer(9, "café"), Answer(9, "café / bar"))
    assert (first.answerable, first.plausible) == (True, ())
    assert (second.row, second.answers) == (1, (Answer(25, "Ríga"),))


def test_reads_version_2(kit: Any) -> None:
    first, second = kit.open("squad_v2", V2).examples()
    assert (first.answerable, first.answers, first.plausible) == (False, (), (Answer(0, "Anna Berg"),))
    assert (second.answerable, second.answers, second.plausible) == (True, (Answer(0, "Anna Berg"),), ())


@pytest.mark.parametrize("task", ["squad_v1", "squad_v2"])
@pytest.mark.parametrize("data", [V1, V1.replace("\n", "\r\n"), "\ufeff" + V1, V1.strip(), V1.replace("\\u00ed", "í")])
def test_read_and_write_returns_the_same_bytes(kit: Any, task: str, data: str) -> None:
    assert kit.rewritten(kit.open(task, data)) == data.encode("utf-8")


def test_edits_land_in_the_literals(kit: Any) -> None:
    """One edit inside an answer, one before it, one in a question; starts, texts and spellings as they should be."""
    task, file = get_task("squad_v1"), kit.open("squad_v1", V1)
    context = [Edit(3, "was", "waas"), Edit(11, "fé", "éf")]
    changes = {(0, "context"): context, (1, "context"): context, (1, "question"): [Edit(0, "W", "Ŵ")]}
    items = kit.attacked(task, file.examples(), changes)
    expected = (
        V1.replace("It was", "It waas")
        .replace('"context": "It waas\\ta caf\\u00e9', '"context": "It waas\\ta ca\\u00e9f')
        .replace('"answer_start": 9, "text": "caf\\u00e9"', '"answer_start": 10, "text": "ca\\u00e9f"')
        .replace('{"text":"caf\\u00e9 \\/ bar","answer_start":9}', '{"text":"ca\\u00e9f \\/ bar","answer_start":10}')
        .replace('"answer_start" : 25', '"answer_start" : 26')
        .replace("Where?", "\\u0174here?")
    ).encode()
    assert kit.rewritten(file, items) == expected
    path = kit.path(expected)
    read = list(kit.open("squad_v1", expected).examples())
    assert [example.answers for example in read] == [item.example.answers for item in items]
    assert [example.fields for example in read] == [item.example.fields for item in items]
    assert kit.undone(task, file, path, items) == V1.encode()


def test_new_characters_are_raw_where_the_file_is(kit: Any) -> None:
    task, data = get_task("squad_v1"), V1.replace('R\\u00edga",', 'Ríga",', 1)
    file = kit.open(task, data)
    items = kit.attacked(task, file.examples(), {(1, "question"): [Edit(0, "W", 'Ŵ"\\')]})
    assert kit.rewritten(file, items).decode() == data.replace("Where?", 'Ŵ\\"\\\\here?')


def test_given_spelling_is_kept(kit: Any) -> None:
    task, file = get_task("squad_v1"), kit.open("squad_v1", V1)
    edit = Edit(0, "W", "é", inserted_source="\\u00E9")
    items = kit.attacked(task, file.examples(), {(1, "question"): [edit]})
    assert kit.rewritten(file, items).decode() == V1.replace("Where?", "\\u00E9here?")


def test_source_is_the_spelling_of_a_slice(kit: Any) -> None:
    file = kit.open("squad_v1", V1)
    first, second = file.examples()
    assert file.source(first, "context", 0, 6) is None
    assert file.source(first, "context", 11, 13) == "f\\u00e9"
    assert file.source(first, "context", 20, 21) == "\\ud83d\\ude00"
    assert file.source(first, "question", 4, 7) == ' \\"w'
    assert file.source(second, "question", 0, 6) is None


def test_plausible_answers_are_patched(kit: Any) -> None:
    task, file = get_task("squad_v2"), kit.open("squad_v2", V2)
    context = [Edit(1, "n", "")]
    items = kit.attacked(task, file.examples(), {(0, "context"): context, (1, "context"): context})
    assert kit.rewritten(file, items).decode() == V2.replace("Anna Berg", "Ana Berg")


def test_an_answer_spelled_unlike_its_context(kit: Any) -> None:
    data = '{"data":[{"paragraphs":[{"context":"a \\u0063afé.","qas":[{"id":"q","question":"?","answers":[' + (
        '{"text":"caf\\u00e9","answer_start":2}]}]}]}]}'
    )
    task, file = get_task("squad_v1"), kit.open("squad_v1", data)
    items = kit.attacked(task, file.examples(), {(0, "context"): [Edit(3, "a", "")]})
    expected = data.replace("\\u0063afé", "\\u0063fé").replace('"caf\\u00e9"', '"cf\\u00e9"').encode()
    assert kit.rewritten(file, items) == expected
    assert kit.undone(task, file, kit.path(expected), items) == data.encode()


def test_questions_of_one_context_must_agree(kit: Any) -> None:
    task, file = get_task("squad_v1"), kit.open("squad_v1", V1)
    items = kit.attacked(task, file.examples(), {(0, "context"): [Edit(0, "I", "")]})
    with pytest.raises(ValueError, match="question q1: the questions of its context disagree"):
        kit.rewritten(file, items)
    clean, other = file.examples()
    with pytest.raises(ValueError, match="do not lead to"):
        kit.rewritten(file, [Attacked(clean, {"question": [Edit(0, "W", "")]}), Attacked(other, {})])


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        ("squad_v1", document("Riga.", qa("q7", (1, "Riga"))),
         r"question q7: found 'iga.' at answer_start 1; expected the answer 'Riga'"),
        ("squad_v1", document("Riga.", qa("q7", (-1, "."))), r"question q7: found '' at answer_start -1"),
        ("squad_v1", document("Riga.", qa("q7", (0, ""))), r"question q7: found an empty answer"),
        ("squad_v2",
         document("Riga.", qa("q", is_impossible=True, plausible_answers=[{"answer_start": 3, "text": "x"}])),
         r"question q: found 'a' at answer_start 3; expected the answer 'x'"),
        ("squad_v1", document("Riga.", qa("q", is_impossible=True)), r"found an unanswerable question.*squad_v2"),
        ("squad_v2", document("Riga.", qa("q", (0, "Riga"), is_impossible=True)), r"is_impossible with an answer"),
        ("squad_v2", document("Riga.", qa("q", is_impossible=False)), r"found no answer and not is_impossible"),
        ("squad_v1", document("Riga."), r"found no question; expected at least one"),
        ("squad_v1", '{"data": 3}', r"data.txt:1: found 'data' that is a int; expected 'data', a list"),
        ("squad_v1", '{"a": 1,\n "dota": []}', r"data.txt:1: found no 'data'"),
        ("squad_v1", '{"data": [\n\n{"title": ""}]}', r"data.txt:3, article 1 '': found no 'paragraphs'"),
        ("squad_v1", '{"data": [\n,1]}', r"data.txt:2: found malformed JSON \(expecting value, column 1\)"),
        ("squad_v1", '{"data": [1\n 2]}', r"data.txt:2: found malformed JSON \(expecting ',' delimiter, column 2\)"),
        ("squad_v1", '{"data": [', r"found malformed JSON \(the file ends early, column 11\)"),
        ("squad_v1", '{"data": "a\nb"}', r"found malformed JSON \(invalid control character at, column 12\)"),
        ("squad_v1", '{"data" []}', r"found malformed JSON \(expecting ':' delimiter, column 9\)"),
        ("squad_v1", "{data: []}", r"malformed JSON \(expecting property name enclosed in double quotes, column 2\)"),
        ("squad_v1", '{"data":\n [NaN]}', r"data.txt:2: found malformed JSON \(expecting value, column 3\)"),
        ("squad_v1", "{} {}", r"found malformed JSON \(extra data, column 4\)"),
        ("squad_v1", "[" * 100_000, r"found JSON nested too deeply"),
        ("squad_v1", b'{"data":\n "caf\xe9"}', r"data.txt:2: found byte 0xe9 at offset 14, which is not UTF-8"),
        ("squad_v1", "", r"found an empty file"),
        ("squad_v1", "<!doctype html><title>x", r"found an HTML page"),
    ],
)  # fmt: skip
def test_bad_files(kit: Any, task: str, data: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(kit.open(task, data).examples())


def test_no_answer_is_gold_where_systems_may_decline() -> None:
    example = Example(3, "q3", "k", {"question": "?", "context": "c"}, answerable=False)
    assert gold_of(get_task("squad_v2"), example) == QaGold(())
    with pytest.raises(InputError, match=r"q3.*found an unanswerable question; expected at least one answer"):
        gold_of(get_task("squad_v1"), example)


def test_unlabelled_questions(kit: Any) -> None:
    data = document("Riga.", {"id": "q", "question": "?"})
    for task in ("squad_v1", "squad_v2"):
        (example,) = kit.open(task, data).examples()
        assert (example.answers, example.answerable) == ((), None)
    (example,) = kit.open("squad_v2", document("Riga.", qa("q"))).examples()
    assert example.answerable is False


@pytest.mark.parametrize("key", ["context", "question", "id", "text"])
@pytest.mark.parametrize("escape", ["\\ud83d", "\\uDE00"])
def test_lone_surrogates_are_refused(kit: Any, key: str, escape: str) -> None:
    data = document("Riga \U0001f600.", qa("q", (0, "Riga"))).replace(
        f'"{key}": "', f'\n"{key}": "\\ud83d\\ude00{escape}'
    )
    message = rf"data.txt:2: found malformed JSON \(the lone surrogate \{escape}, column {len(key) + 18}\)"
    with pytest.raises(InputError, match=message):
        list(kit.open("squad_v1", data).examples())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('a"\\é'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
)


@given(VALUES, st.sampled_from([None, 0, 3]), st.booleans())
def test_nodes_have_the_spans_of_their_literals(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = f" {json.dumps(value, indent=indent, ensure_ascii=ascii_only)}\n"
    if "{}" not in text:  # a key may stand twice
        text = text.replace("{", '{"b": [{}, -1.5e3, {}], ')

    def check(node: Node) -> Any:
        inner: Any = node.value
        if isinstance(inner, dict):
            inner = {key: check(member) for key, member in inner.items()}
        if isinstance(inner, list):
            inner = list(map(check, inner))
        assert json.loads(text[node.start : node.end]) == inner
        return inner

    assert check(parse(text, "x")) == json.loads(text)


# Any spelling of any document: each character raw or escaped, white space anywhere.

SPACE = st.text(" \t\n\r", max_size=2)
TEXT = st.text(st.sampled_from('aé"\\/\n\t😀\u2028 z\x7f'), min_size=1, max_size=10)


def spell(draw: st.DrawFn, text: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t"}
    pieces = []
    for character in text:
        units = character.encode("utf-16-be")
        codes = [f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2)]
        choices = ["".join(codes)]
        if character in short:
            choices.append(short[character])
        if character not in '"\\\n\t':
            choices.append(character)
        pieces.append(draw(st.sampled_from(choices)))
    return '"' + "".join(pieces) + '"'


def dump(draw: st.DrawFn, value: Any) -> str:
    gap = draw(SPACE)
    if isinstance(value, str):
        return gap + spell(draw, value) + gap
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return gap + "{" + ",".join(f'{gap}"{key}"{gap}:{dump(draw, value[key])}' for key in keys) + "}" + gap
    if isinstance(value, list):
        return gap + "[" + (",".join(dump(draw, item) for item in value) or gap) + "]" + gap
    return gap + json.dumps(value) + gap


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, list[Edit], list[Edit]]:
    """A file, its context, and edits of the context and of the questions."""
    context = draw(TEXT)
    spans = st.integers(0, len(context) - 1).flatmap(
        lambda at: st.tuples(st.just(at), st.integers(at + 1, len(context)).map(lambda end: context[at:end]))
    )
    found = draw(st.lists(st.lists(spans, min_size=1, max_size=2), min_size=1, max_size=2))
    questions = [qa(f"q{row}", *answers) for row, answers in enumerate(found)]
    for item in questions:
        item["question"] = "W" + draw(TEXT)
    at = draw(st.integers(0, len(context) - 1))
    edits = [Edit(at, context[at], draw(st.sampled_from(["é", "zz", "\\", "😀", context[at] + "n"])))]
    return dump(draw, json.loads(document(context, *questions))), context, edits, [Edit(0, "W", draw(TEXT))]


@settings(max_examples=150, deadline=None)
@given(files())
def test_any_file_comes_back_and_any_edit_lands(kit: Any, case: tuple[str, str, list[Edit], list[Edit]]) -> None:
    data, _, context, question = case
    task, file = get_task("squad_v1"), kit.open("squad_v1", data)
    assert kit.rewritten(file) == data.encode()
    examples = list(file.examples())
    changes = {(row, "context"): context for row in range(len(examples))} | {(0, "question"): question}
    items = kit.attacked(task, examples, changes)
    attacked = kit.rewritten(file, items)
    read = list(kit.open("squad_v1", attacked).examples())
    expected = [item.example for item in items]
    assert [(one.fields, one.answers) for one in read] == [(one.fields, one.answers) for one in expected]
    again = list(kit.open("squad_v1", kit.undone(task, file, kit.path(attacked), items)).examples())
    assert again == examples


@settings(max_examples=60, deadline=None)
@given(st.booleans(), files())
def test_undoing_gives_the_bytes_back_however_json_was_dumped(kit: Any, ascii_only: bool, case: Any) -> None:
    data = json.dumps(json.loads(case[0]), ensure_ascii=ascii_only)
    task, file = get_task("squad_v1"), kit.open("squad_v1", data)
    examples = list(file.examples())
    items = kit.attacked(task, examples, {(row, "context"): case[2] for row in range(len(examples))})
    assert kit.undone(task, file, kit.path(kit.rewritten(file, items)), items) == data.encode()
