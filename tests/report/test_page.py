"""The page: needs nothing but itself, escapes everything, repeats to the byte, says what is missing."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest

from pipeline.base.files import read_json
from pipeline.evaluation.verdict import NAMES
from pipeline.report.plots import MAX_CELLS
from stages.report import PAGE, main
from tests.report.run import PASSED_ON, SKILL, write_run

ATTACK = '<script>alert(1)</script><img src=x onerror="alert(2)"> \' " & </style> {{ 7 * 7 }}'
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Elements, ids and visible text of a page; refuses one whose elements are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def draw(folder: Path, monkeypatch: pytest.MonkeyPatch, **run: object) -> str:
    """Write a run and return its page."""
    write_run(folder, **run)
    monkeypatch.chdir(folder)
    main()
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in both directions, with its page."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as monkeypatch:
        draw(folder, monkeypatch, documents=60, directions=("forward", "backward"))
    return folder


def test_the_page_needs_nothing_but_itself_and_its_elements_are_sound(ordinary: Path) -> None:
    page = Page((ordinary / PAGE).read_text(encoding="utf-8"))
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == page.tags["iframe"] == 0
    assert not [one for one in page.attributes if one[0] in ("src", "href", "srcset") and not one[1].startswith("#")]
    assert "url(" not in re.sub(r"url\(#[^)]+\)", "", str(page.attributes))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value for name, value in page.attributes if name == "aria-labelledby"}
    used |= set(re.findall(r"url\(#([^)]+)\)", str(page.attributes)))
    used |= {value[1:] for name, value in page.attributes if name in ("href", "xlink:href")}
    assert used <= set(ids)
    assert page.tags["svg"] == len([one for one in page.attributes if one == ("role", "img")])


@pytest.mark.parametrize("multilabel", [False, True])
def test_texts_and_labels_cannot_become_markup(tmp_path, monkeypatch, multilabel: bool) -> None:
    labels = [ATTACK, "$x$ & y_{2", "中性的评论"]
    html = draw(tmp_path, monkeypatch, documents=60, texts=[ATTACK] * 60, labels=labels, multilabel=multilabel)
    page = Page(html)
    assert page.tags["script"] == page.tags["img"] == 0
    assert page.tags["style"] == 1 + len(re.findall(r"<svg", html)), "matplotlib writes one style element a figure"
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(ATTACK) > 5
    assert "{{ 7 * 7 }}" in page.text
    assert "$x$ & y_{2" in page.text
    assert ("LRAP" in page.text) == ("there is no confusion matrix" in page.text) == multilabel


def test_what_a_language_model_wrote_is_shown_in_the_order_of_the_text_and_cannot_become_markup(
    tmp_path, monkeypatch
) -> None:
    guesses = [{"text": f"fill {ATTACK}", "probability": 0.62}, {"text": " cat", "probability": 0.121}]
    samples = [
        {"how": "greedy", "before": f"prompt {ATTACK} ", "written": f"goes on {ATTACK}", "after": ""},
        {"how": "gap", "before": "a ", "written": "b", "after": f" c {ATTACK}", "original": ATTACK, "guesses": guesses},
    ]
    html = draw(tmp_path, monkeypatch, documents=10, samples=samples)
    page = Page(html)
    assert page.tags["script"] == page.tags["img"] == 0
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.tags["mark"] == 2
    assert f"prompt {ATTACK} goes on {ATTACK}" in page.text
    assert f"gap, filled with “fill {ATTACK}” 62.0%, then “ cat” 12.1%; the text has “{ATTACK}”" in page.text
    assert f"a b c {ATTACK}" in page.text
    assert page.text.count("What it writes") == 1, "only one of the stages has samples"


def test_equal_files_give_an_equal_page_whatever_the_folder_and_matplotlibs_settings(
    ordinary: Path, tmp_path, monkeypatch
) -> None:
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": False}):
        again = draw(tmp_path, monkeypatch, documents=60, directions=("forward", "backward"))
    assert again == (ordinary / PAGE).read_text(encoding="utf-8")
    assert str(tmp_path) not in again


def test_the_page_tells_results_conditions_and_what_ran(ordinary: Path) -> None:
    text = Page((ordinary / PAGE).read_text(encoding="utf-8")).text
    for name, values in read_json(ordinary / "results/evaluate/metrics.json")["systems"].items():
        assert NAMES[name] in text
        assert f"{values['accuracy']:.3f}" in text
        assert f"{values['macro_f1_interval'][0]:.3f} to {values['macro_f1_interval'][1]:.3f}" in text
    for expected in (
        "forward alone",
        "backward alone",
        "1a2b3c4",
        "Example CPU 9000",
        "torch 2.13.0",
        "3m45s",
        "9.87k",
    ):
        assert expected in text
    for expected in (
        "27.1%",
        "1,312 MB",
        "configs/model/small.yaml",
        "# What small is",
        "31 left out as they repeat a",
    ):
        assert expected in text
    assert "kept out of all training text" in text


def test_a_network_of_another_shape_is_not_called_the_same(tmp_path, monkeypatch) -> None:
    skill = {"other_scratch" if name == "scratch" else name: value for name, value in SKILL.items()}
    text = Page(draw(tmp_path, monkeypatch, documents=60, skill=skill)).text
    assert "configs/model, not pretrained" in text
    assert "the network of configs/model/, started from noise; the pipeline's is another" in text
    assert "same network" not in text


def test_a_blend_its_shares_and_a_test_part_that_was_read_are_told(tmp_path, monkeypatch) -> None:
    text = Page(draw(tmp_path, monkeypatch, documents=60, blended=True, transductive=True)).text
    for member in ("the student alone", "its teacher, the blend", "the network alone", "the linear models alone"):
        assert member in text
    assert (
        "Weights in the blend, by 5-fold cross-validation on 80 documents (log loss in brackets): the network 0.67"
        in text
    )
    assert "their texts were seen unlabelled" in text
    assert "has read the test documents' text without labels (transductive)" in text


def test_what_a_run_did_not_do_is_said(tmp_path, monkeypatch) -> None:
    text = Page(draw(tmp_path, monkeypatch, documents=0, generic=False)).text
    assert "There is no test part, so nothing was measured" in text
    assert "The most confident mistakes" not in text
    assert PASSED_ON in text
    assert "None: this stage passes its input through." in text
    assert "Domain fine-tuning" in text


def test_a_hundred_classes_are_drawn_without_numbers_in_the_cells(tmp_path, monkeypatch) -> None:
    names = [f"class {number}" for number in range(100)]
    assert len(names) > MAX_CELLS
    html = draw(tmp_path, monkeypatch, documents=100, labels=names, generic=False)
    assert "Most frequent confusions" in html
    assert len(html) < 1_000_000


def test_a_system_without_a_mistake_is_congratulated_and_not_a_crash(tmp_path, monkeypatch) -> None:
    html = draw(tmp_path, monkeypatch, documents=30, skill={"pipeline": 50.0, "majority": 0.0})
    assert "every test document was classified rightly" in html
