"""The page in a real browser: no request, no error, and an explorer that searches, filters, links and takes keys."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from robustbench_char.analysis.pairs import comparison_table, pair_records
from robustbench_char.records.evaluation import find_records
from robustbench_char.reports import write_report
from robustbench_char.reports.examples import _payload as payload

DRIVER = Path(__file__).with_name("chromium.py")
pytestmark = pytest.mark.slow

HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>")


@pytest.fixture(scope="module")
def driver(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the module that drives Chromium, or skip the test where there is none (in CI it must be there)."""
    module = load_module(DRIVER)
    if module.executable() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium is installed (apt-get install chromium)")
    return module


@pytest.fixture
def browse(driver: ModuleType) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page in a browser, of 1280 by 900 pixels by default."""
    opened: list[Any] = []

    def open_page(page: Path, *, fragment: str = "", width: int = 1280, height: int = 900) -> Any:
        browser = driver.Chromium(width=width, height=height)
        opened.append(browser.__enter__())
        browser.open(page, fragment=fragment)
        return browser

    yield open_page
    for browser in opened:
        browser.__exit__()


@pytest.fixture(scope="module")
def page(load_module: Callable[[Path], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of three tasks, two systems, two suites, made once for all tests."""
    made, root = load_module(Path(__file__).with_name("conftest.py")), tmp_path_factory.mktemp("page")
    for task, system in itertools.product(("qnli", "conll2003", "squad_v2"), ("bert", "charbert")):
        for suite in (None, "drop", "swap"):
            made.write_run(root / "runs", task, system, suite, 40)
    return write_report([root / "runs"], root / "report")


def choose(browser: Any, name: str, label: str) -> None:
    """Choose an option of a filter, as a user does."""
    browser.run(
        f"(() => {{ const box = document.getElementById('explorer-{name}');"
        f" box.value = [...box.options].find((one) => one.text === {json.dumps(label)}).value;"
        " box.dispatchEvent(new Event('change')); })()"
    )


def search(browser: Any, text: str) -> None:
    """Type into the search box, and wait for what it finds."""
    before = browser.run("document.getElementById('explorer-count').textContent")
    browser.run(
        f"(() => {{ const box = document.getElementById('explorer-search'); box.value = {json.dumps(text)};"
        " box.dispatchEvent(new Event('input')); })()"
    )
    browser.wait(f"document.getElementById('explorer-count').textContent !== {json.dumps(before)}")


def count(browser: Any) -> int:
    """Return how many results are listed, by the line above the list."""
    return int(browser.run("document.getElementById('explorer-count').textContent").split(" ")[0].replace(",", ""))


def shown(browser: Any) -> str:
    return str(browser.run("document.getElementById('explorer-shown').innerText"))


def test_opening_asks_nobody_and_goes_without_errors(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    assert browser.requests() == [page.resolve().as_uri()]
    assert browser.errors() == []
    assert browser.run("document.getElementById('explorer').hidden") is False
    assert browser.run("document.getElementById('explorer-note').hidden") is True


def test_a_page_without_examples_has_no_script(make_runs: Callable[..., Path], tmp_path: Path, browse: Any) -> None:
    browser = browse(write_report([make_runs(count=20)], tmp_path / "report", examples=False))
    assert browser.errors() == []
    assert browser.run("document.scripts.length") == 0


def test_tables_hold_the_numbers_of_the_records(
    make_runs: Callable[..., Path], tmp_path: Path, browse: Callable[..., Any]
) -> None:
    runs = make_runs(count=117)
    table = comparison_table(pair_records(find_records([runs])))
    browser = browse(write_report([runs], tmp_path / "report"))
    cells = browser.run("[...document.querySelectorAll('td')].map((cell) => cell.textContent)")
    for value in (*table["clean"], *table["attacked"], *table["drop"]):
        assert any(cell.startswith(f"{value:.1f}".replace("-", "−")) for cell in cells)


def test_filters_and_search(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    everything = count(browser)
    choose(browser, "task", "conll2003")
    some = count(browser)
    assert 0 < some < everything
    assert "conll2003" in shown(browser)
    choose(browser, "system", "charbert")
    choose(browser, "suite", "swap")
    choose(browser, "outcome", "broken")
    assert 0 < count(browser) < some
    for part in ("broken", "conll2003", "charbert", "swap"):
        assert part in shown(browser)
    choose(browser, "outcome", "all")
    search(browser, "WINTER OF 1953")
    assert count(browser) == 1
    search(browser, "nothing has this in it")
    assert count(browser) == 0
    assert "No example is chosen" in shown(browser)


def test_clean_and_attacked_texts_stand_side_by_side(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    choose(browser, "task", "qnli")
    choose(browser, "suite", "swap")
    texts = browser.run(
        "Object.fromEntries([...document.querySelectorAll('#explorer-shown dt')]"
        ".map((name) => [name.textContent, name.nextSibling.textContent]))"
    )
    assert list(texts) == ["question, clean", "question, attacked", "sentence", "operators"]
    clean, attacked = texts["question, clean"], texts["question, attacked"]
    assert clean != attacked
    assert sorted(clean) == sorted(attacked)
    assert clean.startswith("Where does ")
    marked = browser.run("[...document.querySelectorAll('#explorer-shown mark')].map((mark) => mark.textContent)")
    assert len(marked) in (2, 4)


def test_words_are_shaded_by_how_far_they_moved(
    make_runs: Callable[..., Path], tmp_path: Path, browse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = make_runs(suites=("drop",), count=20)
    (pair,) = pair_records(find_records([runs]))
    table = pd.DataFrame({"row": range(20), "field": "question", "start": 6, "distance": 0.375})
    record = pair.attacked
    key = record.task, *record.system.all_weights, record.data.sha256
    monkeypatch.setattr(payload, "_words_of", lambda _: {key: table})
    browser = browse(write_report([runs], tmp_path / "report"))
    moved = "[...document.querySelectorAll('#explorer-shown .moved')]"
    assert browser.run(f"{moved}.map((one) => one.style.getPropertyValue('--moved'))") == ["0.38"]
    assert browser.run(f"{moved}[0].title") == "moved by 0.38 (1 − cosine)"
    assert browser.run(f"getComputedStyle({moved}[0]).boxShadow") != "none"
    assert "Words are shaded" in shown(browser)


def test_every_outcome_and_operator_can_be_chosen(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    everything = count(browser)
    for name in ("outcome", "operator"):
        total = 0
        for label in browser.run(
            f"[...document.getElementById('explorer-{name}').options].slice(1).map((o) => o.text)"
        ):
            choose(browser, name, label)
            total += count(browser)
        choose(browser, name, "all")
        assert total == everything


def test_a_link_leads_to_its_example(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    choose(browser, "task", "squad_v2")
    link = browser.run("document.querySelector('#explorer-shown h3 a').getAttribute('href')")
    again = browse(page, fragment=link)
    assert shown(again) == shown(browser)
    assert "squad_v2" in shown(again)
    lost = browse(page, fragment="#example=a/b/c/d")
    assert "not among those shown" in lost.run("document.getElementById('explorer-count').textContent")


def test_the_keyboard_does_it_all(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    browser.key("/")
    assert browser.run("document.activeElement.id") == "explorer-search"
    browser.key("Escape")
    assert browser.run("document.activeElement.id") == "explorer-list"
    first = shown(browser)
    browser.key("ArrowDown")
    assert shown(browser) != first
    chosen = "document.querySelector('[aria-selected=true]').id"
    assert browser.run(chosen) == browser.run("document.activeElement.getAttribute('aria-activedescendant')")
    browser.key("End")
    assert browser.run(chosen) == f"explorer-row-{count(browser) - 1}"
    browser.key("Home")
    assert shown(browser) == first


def test_other_systems_on_the_same_example_are_a_link_away(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page)
    choose(browser, "system", "bert")
    first = browser.run("document.querySelector('#explorer-shown h3').textContent")
    assert "Other systems: charbert" in shown(browser)
    browser.run("document.querySelector('#explorer-shown .others a').click()")
    browser.wait("document.querySelector('#explorer-shown h3').textContent.includes('charbert')")
    second = browser.run("document.querySelector('#explorer-shown h3').textContent")
    assert second.split("·")[-1] == first.split("·")[-1]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("Emulation.setScriptExecutionDisabled", {"value": True}),
        ("Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}),
    ],
)
def test_where_the_explorer_cannot_run_the_page_says_so(
    page: Path, browse: Callable[..., Any], method: str, params: dict[str, Any]
) -> None:
    browser = browse(page)
    browser.page(method, **params)
    browser.run("window.old = true")
    browser.page("Page.reload")
    browser.wait("!window.old && document.readyState === 'complete'")
    assert browser.run("document.getElementById('explorer').hidden") is True
    assert "needs JavaScript and a browser of 2023" in browser.run("document.body.innerText")


def test_texts_never_become_markup(
    make_runs: Callable[..., Path], tmp_path: Path, browse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
    load_module: Callable[[Path], ModuleType],
) -> None:  # fmt: skip
    runs = make_runs(systems=HOSTILE[:1], suites=("drop",), count=30)
    from robustbench_char.records.evaluation import read_predictions, read_record, write_predictions, write_record

    for path in runs.rglob("record.json"):
        frame = read_predictions(path.parent)
        assert frame is not None
        frame["prediction"] = json.dumps(HOSTILE[1])
        sha = write_predictions(path.parent, frame)
        write_record(path.parent, read_record(path).model_copy(update={"predictions_sha256": sha}))
    browser = browse(write_report([runs], tmp_path / "report"))
    assert browser.errors() == []
    assert browser.run("document.scripts.length") == 2
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert HOSTILE[1] in shown(browser)
    assert HOSTILE[0] in shown(browser)


def test_a_phone_shows_it_without_scrolling_sideways(page: Path, browse: Callable[..., Any]) -> None:
    browser = browse(page, width=390, height=844)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    choose(browser, "task", "squad_v2")
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_twenty_thousand_examples_do_not_freeze_the_page(
    make_runs: Callable[..., Path], tmp_path: Path, browse: Callable[..., Any]
) -> None:
    page = write_report([make_runs(suites=("drop",), count=24_000)], tmp_path / "report")
    assert page.stat().st_size < 20_000_000
    browser = browse(page)
    assert count(browser) == 20_000
    timed = "(() => {{ const start = performance.now(); {} return performance.now() - start; }})()"
    filtering = "document.getElementById('explorer-outcome').dispatchEvent(new Event('change'));"
    assert browser.run(timed.format(filtering)) < 200
    search(browser, "1953")
    assert count(browser) < 20_000
    assert browser.run(timed.format(filtering)) < 200
    assert browser.run("document.querySelectorAll('[role=option]').length") < 60
