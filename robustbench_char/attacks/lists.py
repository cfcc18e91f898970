"""Lists of misspellings as suites have them: what the file of a suite says, what is resolved from it, what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name, sha256_file
from robustbench_char.common.frozen import Frozen
from robustbench_char.text.misspellings import PACKAGED, misspellings_file, read_misspellings
from robustbench_char.text.unicode_14 import lower

__all__ = ["ListFile", "ListInfo", "listed", "resolve_list"]


class ListFile(Frozen):
    """The key `misspellings` of a suite: a list by the name of an installed package, or a file beside the suite's.

    The licence of one's own file is stated, to be found in the manifest.
    """

    list: str
    licence: str | None = None


class ListInfo(Frozen):
    """A list of misspellings by name and content, and the licence that it is under.

    `version` is that of the package that brings it. `path` is where a user's own was found: it is in no manifest, and
    two lists that differ in nothing else are equal.
    """

    name: str
    sha256: str
    licence: str
    version: str | None = None
    path: Path | None = Field(None, exclude=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListInfo) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.sha256)


def resolve_list(asked: ListFile, folder: Path, *, place: str) -> ListInfo:
    """Return the list that a suite in `folder` asks for.

    Raises InputError for one that is missing, whose package is not installed, or whose licence is not stated.
    """
    if packaged := PACKAGED.get(asked.list):
        path = misspellings_file(asked.list, place=f"{place}.list")
        found = version(asked.list)
        return ListInfo(name=asked.list, sha256=sha256_file(path), licence=packaged.licence, version=found)
    path = folder / asked.list
    misspellings_file(path if path.exists() else asked.list, place=f"{place}.list")
    if not asked.licence:
        fix = "State what the list is under, for example `licence: CC0-1.0`, or `licence: unknown`."
        raise InputError(f"{place}.licence", found="none", expected=f"the licence of {asked.list}", fix=fix)
    info = ListInfo(name=safe_name(path.name), sha256=sha256_file(path), licence=asked.licence, path=path)
    listed(info)
    return info


@lru_cache(maxsize=4)
def listed(info: ListInfo) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return, by the correct spelling in lower case, the pairs (correct spelling, misspelling) of a list, in order.

    Pairs with white space are left out: an edit stays inside one word. Raises InputError for a list that is not at hand
    any more, or has no pair of words.
    """
    source = info.path or info.name
    path = misspellings_file(source, place="misspellings")
    if sha256_file(path) != info.sha256:
        found = "another version of the list of misspellings than the suite was made with"
        raise InputError(path, found=found, expected=f"SHA-256 {info.sha256}", fix="Load the suite again.")
    index: dict[str, list[tuple[str, str]]] = {}
    for wrong, right in read_misspellings(source, place="misspellings"):
        if not any(map(str.isspace, wrong + right)):
            index.setdefault(lower(right), []).append((right, wrong))
    if not index:
        raise InputError(path, found="no pair of single words", expected="at least one",
                         fix="White space is never drawn: list words without it.")  # fmt: skip
    return {word: tuple(pairs) for word, pairs in index.items()}
