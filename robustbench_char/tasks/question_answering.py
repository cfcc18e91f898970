"""Extractive question answering: SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), and how answers follow edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robustbench_char.common.errors import InputError
from robustbench_char.tasks.base import Answer, Example, HubSource, Task
from robustbench_char.text.edits import Edit, Moves, apply_edits, in_order

_SPLITS = {"train": "train", "dev": "validation"}


def follow(
    example: Example,
    fields: Mapping[str, str | tuple[str, ...]],
    edits: Mapping[str, Sequence[Edit]],
    known: dict[tuple[object, object], Moves],
) -> Example:
    """Return the example with its attacked texts; the attacked span of the context is the new answer.

    Edits that straddle an end of an answer are taken into it, insertions at its very ends are not. What was
    unanswerable stays so. `known` remembers contexts, clean and attacked. Raises ValueError where edits and texts
    disagree.
    """
    clean, context = example.fields["context"], fields.get("context", example.fields["context"])
    if (clean, context) not in known:
        changes = in_order(edits.get("context", ()))
        if not isinstance(context, str) or apply_edits(str(clean), changes) != context:
            raise ValueError(f"question {example.id}: the edits of the context do not lead to the attacked context")
        known[clean, context] = Moves(changes)
    moves = known[clean, context]
    return example._replace(
        fields={**example.fields, **fields},
        answers=tuple(_follow_answer(answer, str(context), moves) for answer in example.answers),
        plausible=tuple(_follow_answer(answer, str(context), moves) for answer in example.plausible),
    )


def _follow_answer(answer: Answer, context: str, moves: Moves) -> Answer:
    """Return an answer of the clean context as it is in the attacked one.

    Where nothing of it is left but white space, the span grows to the character beside it: an edit never empties a
    word, so there is one. Raises ValueError where the whole context is empty.
    """
    start, end = moves.start(answer.start), moves.end(answer.start + len(answer.text))
    if start >= end or (answer.text.strip() and not context[start:end].strip()):
        start, end = _grown(context, start, end, answer)
    return Answer(start, context[start:end])


def _grown(context: str, start: int, end: int, answer: Answer) -> tuple[int, int]:
    if context[end : end + 1].strip():
        return start, end + 1
    if start and context[start - 1].strip():
        return start - 1, end
    raise ValueError(f"the edits leave nothing of the answer {answer.text!r} at {answer.start}, nor of its word")


def check_answer(place: str, context: str, answer: Answer) -> Answer:
    """Return the answer if the context holds it at its start. Raises InputError otherwise."""
    end = answer.start + len(answer.text)
    text = context[answer.start : end] if answer.start >= 0 else ""
    if not answer.text or text != answer.text:
        found = f"{text!r} at answer_start {answer.start}" if answer.text else "an empty answer"
        expected = f"the answer {answer.text!r}" if answer.text else "an answer"
        fix = "Correct answer_start (it counts code points of the context) or the text."
        raise InputError(place, found=found, expected=expected, fix=fix)
    return answer


def check_answerable(
    place: str, answers: bool, impossible: bool | None, labelled: bool, *, allowed: bool
) -> bool | None:
    """Return whether a question has an answer, or None where the file does not say.

    `impossible` is the file's own flag, `allowed` says whether the task knows unanswerable questions. Raises InputError
    where flag and answers disagree.
    """
    if impossible and not allowed:
        expected = "only answerable ones, as in SQuAD 1.1"
        raise InputError(place, found="an unanswerable question", expected=expected, fix="Use the task squad_v2.")
    if impossible is not None and labelled and impossible == answers:
        found = "is_impossible with an answer" if impossible else "no answer and not is_impossible"
        raise InputError(place, found=found, expected="an answer, or is_impossible", fix="Correct the question.")
    if impossible is not None:
        return not impossible
    return answers if answers or (labelled and allowed) else None


def _squad(name: str, title: str, path: str, revision: str, *, unanswerable: bool) -> Task:
    hub = HubSource(path=path, revision=revision, splits=_SPLITS, columns={"id": "id", "label": "answers"})
    return Task(
        name=name, title=title, family="question_answering", fields=("question", "context"), metric=name, headline="f1",
        format="squad_json", format_options={"unanswerable": unanswerable}, hub=hub,
    )  # fmt: skip


SQUAD_V1 = _squad(
    "squad_v1",
    "SQuAD 1.1: find the answer in a paragraph of Wikipedia (Rajpurkar et al. 2016)",
    "rajpurkar/squad",
    "7b6d24c440a36b6815f21b70d25016731768db1f",
    unanswerable=False,
)

SQUAD_V2 = _squad(
    "squad_v2",
    "SQuAD 2.0: find the answer in a paragraph, or say that it is not there (Rajpurkar et al. 2018)",
    "rajpurkar/squad_v2",
    "3ffb306f725f7d2ce8394bc1873b24868140c412",
    unanswerable=True,
)
