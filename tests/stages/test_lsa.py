"""Promise: of a domain of any size the stage lsa holds what its space is learnt from, and no more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.files import write_json
from pipeline.linear import space
from pipeline.linear.space import Space, learn_space
from pipeline.text.prepared import PreparedWriter, corpus_schema
from stages import lsa
from tests.workspace import contents, sentences


@pytest.mark.parametrize("there", [250, 450, 451, 1000])
def test_the_space_is_that_of_all_text_though_only_some_is_held(
    there: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (space, lsa):
        monkeypatch.setattr(module, "DOCUMENTS", 450)
    texts, held = [text for text, _ in sentences(there, 1)], []
    write_json("data/prepared/task/labels.json", {"spaced": True})
    lsa.DOMAIN.parent.mkdir(parents=True)
    with PreparedWriter(lsa.DOMAIN, corpus_schema()) as writer:
        for text in texts:
            writer.write(text)

    def learn(some: Sequence[str], **options: Any) -> Space | None:
        held.append(len(some))
        return learn_space(some, **options)

    monkeypatch.setattr(lsa, "learn_space", learn)
    lsa.main()
    space.save_space(Path("whole"), learn_space(texts, spaced=True), True)
    assert contents(lsa.OUT) == contents(Path("whole"))
    assert "space.safetensors" in contents(lsa.OUT)
    assert held[0] <= 450
