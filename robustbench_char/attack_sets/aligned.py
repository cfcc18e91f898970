"""Words of an attacked set as attacked and as they were, to learn from."""

from __future__ import annotations

from pathlib import Path

from robustbench_char.attack_sets.manifest import read_manifest
from robustbench_char.attack_sets.show import undone_texts
from robustbench_char.attacks.eligibility import find_words
from robustbench_char.text.columns import Column, strings

__all__ = ["aligned_words"]


def aligned_words(folder: str | Path) -> list[tuple[str, str]]:
    """Return each word of an attacked set as a pair (attacked, clean), in file order, words left alone included.

    Words are those of the suite's splitter: of tagged sentences with published operations, the tokens. A context that
    several questions share counts once. Raises InputError for a folder that is not an attacked set, and where ledger
    and file disagree.

    >>> from robustbench_char.attack_sets.attack import attack_file
    >>> made = attack_file("cola", data="mini", suite="drop", seed=1, output="attacked")
    >>> aligned_words("attacked")[:4]
    [('Anothr', 'Another'), ('twn', 'twin'), ('ywned', 'yawned'), ('our', 'our')]
    """
    folder = Path(folder)
    manifest, texts, after = read_manifest(folder), dict[tuple[str, str], str](), dict[tuple[int, int], str]()
    for example, field, clean, _, rows in undone_texts(folder, manifest):
        key = field, (example.context_key if field == "context" else None) or str(example.row)
        if key not in texts:
            after |= {(len(texts), row["word"]): row["word_after"] for row in rows}
            texts[key] = clean
    column = Column.of(list(texts.values()))
    words = find_words(column, manifest.suite.words, manifest.task_record.family == "tagging")
    clean_words = strings(column.codes, words.starts, words.ends - words.starts).to_pylist()
    places = zip(words.text.tolist(), words.number.tolist(), strict=True)
    return [(after.get(place, word), word) for place, word in zip(places, clean_words, strict=True)]
