"""Random cases of intervals, tests, distances, pieces and error rates, and what the oracles say of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise, product
from random import Random
from statistics import fmean
from typing import Any

import numpy as np

from robustbench_char.attack_sets.stream import Attack, Tally, attack_blocks
from robustbench_char.metrics import METRICS, Floats, holm, interval, permutation_test
from robustbench_char.metrics.fragility import deletions, split_shares
from robustbench_char.metrics.sensitivity import WORD_COLUMNS, cosine_distances, summary_frame
from robustbench_char.metrics.significance import PERMUTATIONS
from robustbench_char.tasks.formats.memory import memory_table
from robustbench_char.tasks.registry import get_task
from tools.hardness import _oracles as oracles
from tools.hardness._scores import Found, some

Statistic = Callable[[Floats], Floats]
ROWS: dict[str, list[tuple[float, ...]]] = {
    "accuracy": [(0, 1), (1, 1)],
    "entity_f1": [(0, 0, 0), (1, 1, 1), (0, 1, 0), (0, 0, 2), (1, 2, 1), (2, 2, 3)],
    "squad_v1": [(0, 0, 1), (0.5, 0, 1), (1, 1, 1), (2 / 3, 0, 1)],
    "matthews": [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)],
}
COUNTED = tuple(ROWS)


def counts(random: Random, metric: str, size: int) -> Floats:
    """Draw counts [N, K] of examples, few of them distinct, some of them zeros where examples may count nothing."""
    rows = ROWS[metric]
    return np.array(random.choices(random.sample(rows, random.randint(1, len(rows))), k=size), np.float64)


# Intervals


def bootstrap(random: Random) -> Iterator[Found]:
    """Ends of an interval lie where all resamples (n to the n), and those of scipy, put 2.5% and 97.5%."""
    from scipy import stats

    metric, size = random.choice(COUNTED), random.randint(2, 5)
    table, score = counts(random, metric, size), METRICS.get(metric).score
    found = interval(table, score, seed=random.randrange(1 << 30))
    every = score(table[_all_rows(size)].sum(1))
    yield Found("value", found.value, float(score(table.sum(0))))
    note = "one example" if table.any(axis=1).sum() < 2 else "no spread" if np.ptp(every) < 1e-9 else ""
    if note or not found.note:  # hardly any resample may differ, so that none of 2,000 does
        yield Found("note", found.note, note)
    if found.low is not None and found.high is not None:
        drawn = stats.bootstrap((np.arange(size),), lambda rows, axis: score(table[rows].sum(-2)), n_resamples=2_000,
                                method="percentile", rng=np.random.default_rng(random.randrange(1 << 30)))  # fmt: skip
        for name, values, slack in (("all resamples", every, 0.022), ("scipy", drawn.bootstrap_distribution, 0.024)):
            for end, level in ((found.low, 0.025), (found.high, 0.975)):
                least = np.quantile(values, max(0.0, level - slack), method="lower")
                most = np.quantile(values, min(1.0, level + slack), method="higher")
                yield Found(f"{name}: {end} between {least} and {most}", bool(least - 1e-9 <= end <= most + 1e-9), True)


@cache
def _all_rows(size: int) -> Any:
    return np.array(list(product(range(size), repeat=size)))


# Tests


def permutation(random: Random) -> Iterator[Found]:
    """Few examples: every swap gone through, by a loop and by scipy."""
    from scipy import stats

    metric, size = random.choice(COUNTED), random.randint(1, 6)
    one, other = (counts(random, metric, size) for _ in range(2))
    score = METRICS.get(metric).score
    found = permutation_test(one, other, score)
    yield Found("loop", found, _by_swaps(one, other, score))
    if size > 1:
        both = np.stack([one, other])

        def difference(x: Any, y: Any, axis: int) -> Any:
            sides = (np.where((side < size)[..., None], both[0][side % size], both[1][side % size]) for side in (x, y))
            first, second = (score(side.sum(-2)) for side in sides)
            return np.round(np.abs(first - second), 7)

        places = np.arange(size)
        expected = stats.permutation_test((places, places + size), difference, permutation_type="samples",
                                          vectorized=True, alternative="greater", n_resamples=1 << size)  # fmt: skip
        yield Found("scipy", found, float(expected.pvalue))


def _by_swaps(one: Floats, other: Floats, score: Statistic) -> float:
    observed = abs(float(score(one.sum(0)) - score(other.sum(0))))
    larger = 0
    for swaps in product((False, True), repeat=len(one)):
        swap = np.array(swaps)[:, None]
        first, second = np.where(swap, other, one).sum(0), np.where(swap, one, other).sum(0)
        larger += abs(float(score(first) - score(second))) >= observed - 1e-9
    return larger / (1 << len(one))


def permutation_drawn(random: Random) -> Iterator[Found]:
    """Many distinct differences: within 6 standard errors of the exact p by convolution, and of scipy's draws."""
    from scipy import stats

    size, score = random.randint(25, 60), METRICS.get("squad_v1").score
    twelfths = np.array([random.choices(range(13), k=size), random.choices(range(random.randint(1, 13)), k=size)])
    one, other = (np.column_stack([side / 12, side == 12, np.ones(size)]).astype(np.float64) for side in twelfths)
    found = permutation_test(one, other, score, seed=random.randrange(1 << 30))
    exact = _convolved((twelfths[0] - twelfths[1]).tolist())
    yield Found(f"convolution: {found} for {exact}", _near(found, exact, PERMUTATIONS), True)
    drawn = stats.permutation_test(
        (twelfths[0], twelfths[1]), lambda x, y, axis: np.abs(x.sum(axis) - y.sum(axis)), permutation_type="samples",
        vectorized=True, alternative="greater", n_resamples=4_000, rng=np.random.default_rng(random.randrange(1 << 30)),
    ).pvalue  # fmt: skip
    yield Found(f"scipy: {found} for {drawn}", _near(found, float(drawn), 2_500), True)


def _near(found: float, p: float, draws: int) -> bool:
    return abs(found - p) <= 6 * math.sqrt(max(p * (1 - p), 1 / draws) / draws) + 2 / draws


def _convolved(differences: list[int]) -> float:
    """Return the exact p of a sum of differences with random signs."""
    ways = {0: 1}
    for difference in differences:
        after: Counter[int] = Counter()
        for total, number in ways.items():
            after[total + difference] += number
            after[total - difference] += number
        ways = after
    observed = abs(sum(differences))
    return sum(number for total, number in ways.items() if abs(total) >= observed) / (1 << len(differences))


def mcnemar(random: Random) -> Iterator[Found]:
    """For accuracy the test is McNemar's: scipy's binomial test, and a sum of binomial coefficients."""
    from scipy import stats

    first, second, both = random.randint(0, 90), random.choice((0, random.randint(0, 90))), random.randint(1, 5)
    right = [1.0] * first + [0.0] * second + [1.0] * both, [0.0] * first + [1.0] * second + [1.0] * both
    one, other = (np.column_stack([side, np.ones(len(side))]) for side in right)
    found = permutation_test(one, other, METRICS.get("accuracy").score)
    yield Found("scipy", found, float(stats.binomtest(first, first + second).pvalue) if first + second else 1.0)
    yield Found("binomial coefficients", found, oracles.mcnemar(first, second))


def holm_correction(random: Random) -> Iterator[Found]:
    """Holm: the closed testing principle, and the running maximum of (m - k) p."""
    values = [
        random.choice((0.0, 1.0, 0.05, random.random(), random.random() ** 4)) for _ in range(random.randint(0, 6))
    ]
    found = holm(values)
    yield Found("closed testing", found, oracles.closed_testing(values))
    array = np.array(values)
    order = np.argsort(array)
    steps = np.minimum(1.0, np.maximum.accumulate(array[order] * np.arange(len(values), 0, -1)))
    yield Found("running maximum", found, steps[np.argsort(order)].tolist())


# Sensitivity, fragility, strength


def cosine(random: Random) -> Iterator[Found]:
    """Distances of S: scipy's, and a loop in double precision."""
    from scipy.spatial.distance import cosine as scipy_cosine

    width = random.choice((1, 2, 8, 48))
    rows = [_vector(random, width) for _ in range(4)]
    left, right = some(random, rows, 4, 4), some(random, rows, 4, 4)
    found = cosine_distances(np.array(left), np.array(right)).tolist()
    yield Found(
        "loop", found, [max(0.0, min(2.0, oracles.cosine_distance(*pair))) for pair in zip(left, right, strict=True)]
    )
    kept = [place for place, pair in enumerate(zip(left, right, strict=True)) if all(map(any, pair))]
    expected = [float(scipy_cosine(np.array(left[place]), np.array(right[place]))) for place in kept]
    yield Found("scipy", [found[place] for place in kept], expected)


def _vector(random: Random, width: int) -> list[float]:
    size = random.choice((0.0, 1.0, 1e-6, 1e6))
    return [size * random.choice((random.gauss(0, 1), random.gauss(0, 1), 0.0)) for _ in range(width)]


def sensitivity(random: Random) -> Iterator[Found]:
    """S of all words and of each group: a loop, and pandas."""
    import pandas as pd

    words = pd.DataFrame([_word(random) for _ in range(random.randint(1, 12))])[list(WORD_COLUMNS)]
    frame = summary_frame(words)
    for row in frame.to_dict("records"):
        kept = [word for word in words.to_dict("records") if _in_group(word, row["group"], row["value"])]
        distances = [word["distance"] for word in kept if not math.isnan(word["distance"])]
        name = f"{row['group']} {row['value']}"
        expected = (math.fsum(distances) / len(distances) if distances else None, len(distances), len(kept))
        s = row["s"] if row["s"] is None or not math.isnan(row["s"]) else None
        yield Found(f"loop: {name}", (s, row["words"], row["words"] + row["left_out"]), expected)
    s = float(frame["s"].iloc[0]) if words["distance"].notna().any() else None
    yield Found("pandas", s, float(words["distance"].mean()) if s is not None else None)
    halves = frame.dropna(subset="s")
    yield Found("half", (halves["half"] * 2).tolist(), halves["s"].tolist())


def _word(random: Random) -> dict[str, Any]:
    operator = random.choice(("", "", "drop", "swap", "drop+swap", "drop+drop"))
    distance = random.choice((math.nan, 0.0, random.random(), 2.0))
    return {
        "row": random.randint(0, 3), "field": "sentence", "word": 0, "start": 0, "changed": bool(operator),
        "operator": operator, "pieces_clean": random.randint(1, 3), "pieces_attacked": 1,
        "length": random.randint(1, 12), "distance": distance,
    }  # fmt: skip


def _in_group(word: dict[Any, Any], group: str, value: str) -> bool:
    if group == "word_length":
        least, _, most = value.partition("-")
        length: int = word["length"]
        return int(least.rstrip("+")) <= length <= int(most or 1000)
    of_words: dict[str, set[str]] = {
        "all": {"all"},
        "changed": {"changed" if word["changed"] else "unchanged"},
        "pieces": {"Subword" if word["pieces_clean"] > 1 else "Word"},
        "operator": set(word["operator"].split("+")),
    }
    return value in of_words[group]


def fragility(random: Random) -> Iterator[Found]:
    """What is split, and what one lost character does to pieces: bags counted by removal, and arrays."""
    words = ["".join(random.choices("abcé1-", k=random.randint(1, 7))) for _ in range(random.randint(0, 6))]
    lost = [word[:at] + word[at + 1 :] for word in words for at in [random.randrange(len(word))]]
    pieces = {word: _cut(random, word) for word in {*words, *lost}}
    groups = deletions(words, lost, pieces)
    for row, least in zip(groups, (0, 4), strict=True):
        pairs = [
            (word, other)
            for word, other in zip(words, lost, strict=True)
            if sum(char.isalpha() for char in word) >= least
        ]
        yield Found(
            str(row["group"]), {name: value for name, value in row.items() if name != "group"}, _shares(pairs, pieces)
        )
        changed = np.array(
            [
                1 - sum(min(pieces[a].count(one), pieces[b].count(one)) for one in set(pieces[a])) / len(pieces[a])
                for a, b in pairs
            ]
        )
        yield Found("arrays", row["pieces_changed"], float(changed.mean()) if pairs else None)
        yield Found("arrays", row["split"], float(np.mean([len(pieces[a]) > 1 for a, _ in pairs])) if pairs else None)
    sentences, tags = [tuple(words)] if words else [], [tuple(random.choices(("O", "B-X", "I-X", "I-Y"), k=len(words)))]
    found = split_shares(sentences, tags if words else [], pieces)
    spans = [span for one in tags for span in oracles.of_tests("conll_entities").entities(one)]
    hit = [any(len(pieces[word]) > 1 for word in words[first : last + 1]) for _, first, last in spans]
    split = [len(pieces[word]) > 1 for word in words]
    yield Found("split shares", tuple(found), (len(words), _mean(split), len(hit), _mean(hit)))


def _cut(random: Random, word: str) -> list[str]:
    edges = sorted({0, len(word), *random.choices(range(len(word) + 1), k=2)})
    return [word[a:b] for a, b in pairwise(edges)]


def _shares(pairs: list[tuple[str, str]], pieces: dict[str, list[str]]) -> dict[str, float | None]:
    split, apart, changed, characters = [], [], [], []
    for clean, attacked in pairs:
        rest, gone = list(pieces[attacked]), 0
        for piece in pieces[clean]:
            if piece in rest:
                rest.remove(piece)
            else:
                gone += 1
        split.append(len(pieces[clean]) >= 2)
        apart.append(gone == len(pieces[clean]))
        changed.append(gone / len(pieces[clean]))
        characters.append(1 / len(clean))
    return {"words": len(pairs), "split": _mean(split), "none_shared": _mean(apart), "pieces_changed": _mean(changed),
            "characters_changed": _mean(characters)}  # fmt: skip


def _mean(values: list[Any]) -> float | None:
    return fmean(values) if values else None


SUITES = ("drop", "add", "swap", "keyboard", "mixed", "pruthi_2019_random@2", "charbert_2020")


def error_rate(random: Random) -> Iterator[Found]:
    """Character error rate of 50 texts: words of both versions by definition, and edits by the distance of nltk."""
    from nltk import edit_distance

    texts = [" ".join("".join(random.choices("abcdeXYé", k=random.randint(1, 9))) for _ in range(random.randint(1, 9)))
             for _ in range(50)]  # fmt: skip
    request = Attack.of(get_task("cola"), random.choice(SUITES), random.randrange(1 << 30), None, None, option="{}")
    table, tally, parts = (
        memory_table(request.task, [{"sentence": text, "label": 1} for text in texts], "data"),
        Tally(),
        list[Any](),
    )
    rows = table.attacked(attack_blocks(request, table, tally, parts.append))
    ours = tally.numbers["character_edits"], tally.numbers["characters"]
    pairs = [
        pair
        for text, row in zip(texts, rows, strict=True)
        for pair in zip(text.split(" "), row["sentence"].split(" "), strict=True)
    ]
    yield Found(
        "words", ours, (sum(oracles.levenshtein(*pair) for pair in pairs if pair[0] != pair[1]), sum(map(len, texts)))
    )
    edits = [edit for part in parts for edit in part.to_pylist()]
    yield Found("nltk", ours[0], sum(edit_distance(edit["removed"], edit["inserted"]) for edit in edits))
