"""Promise (contract 13): a Korean and a Chinese csv go from `new-task` to `predict` like any other."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.clones import call, clone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Words of three topics, and how a sentence is joined: Korean has spaces, Chinese has none.
LANGUAGES = {
    "korean": (
        " ",
        {
            "날씨": ["비가", "온다", "바람이", "분다", "눈이", "내린다", "햇빛이", "따뜻하다", "구름이", "많다"],
            "음식": ["김치를", "먹는다", "밥이", "맛있다", "국을", "끓인다", "고기를", "굽는다", "차를", "마신다"],
            "운동": ["공을", "찬다", "달리기를", "한다", "수영을", "배운다", "산에", "오른다", "자전거를", "탄다"],
        },
    ),
    "chinese": (
        "",
        {
            "天气": ["今天", "下雨", "刮风", "很冷", "晴天", "多云", "下雪", "温度", "湿度", "彩虹"],
            "美食": ["米饭", "好吃", "面条", "火锅", "喝茶", "水果", "烤鸭", "豆腐", "早餐", "厨房"],
            "体育": ["足球", "比赛", "跑步", "游泳", "教练", "冠军", "爬山", "篮球", "训练", "球队"],
        },
    ),
}


def write_csv(path: Path, language: str) -> None:
    joined, topics = LANGUAGES[language]
    random = np.random.Generator(np.random.PCG64(3))
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for number in range(90):
            topic = list(topics)[number % 3]
            words = [str(word) for word in random.choice(topics[topic], size=int(random.integers(6, 14)))]
            rows.writerow([f"{joined.join(words)} {number}", topic])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_csv_goes_from_new_task_to_predict(language: str, tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    write_csv(folder / "texts.csv", language)
    call(folder, "ulmfit", "new-task", "texts.csv", "--name", language, "--text", "text", "--label", "label")
    call(folder, "ulmfit", "use", "generic=none", f"domain={language}")
    call(folder, "dvc", "repro", "finetune_classifier@forward", "baselines")
    words = ["predict", "--model", "models/classifier", "texts.csv", "--text", "text", "--output", "labelled.csv"]
    call(folder, "ulmfit", *words)
    with (folder / "labelled.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90
    assert {row["predicted_label"] for row in rows} <= set(LANGUAGES[language][1])
    with (folder / "texts.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in rows] == [row["text"] for row in csv.DictReader(file)]
