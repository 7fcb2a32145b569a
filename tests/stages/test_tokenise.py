"""The stages tokenizer and tokenise: text to shards, in a folder of their own."""

from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.shards.read import TokenCorpus
from pipeline.text.prepared import PreparedWriter, corpus_schema
from pipeline.text.tokenizer import fingerprint, load
from stages import tokenise, tokenizer

TEXTS = {
    "generic": [f"Sentence {number} of a small corpus.\n한국어 {number}" for number in range(300)],
    "domain": [f"zyzzyva {number}" for number in range(30)],
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's root with configs and prepared text."""
    monkeypatch.chdir(tmp_path)
    for role, texts in TEXTS.items():
        prepare(role, "train", texts)
        prepare(role, "validation", texts[:2])
    choose(tokenizer="vocabulary: 600", pretrain="tokens: 1000\nlearning_rate: 0.1")
    return tmp_path


def prepare(role: str, part: str, texts: list[str]) -> None:
    path = Path("data/prepared") / role / f"{part}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with PreparedWriter(path, corpus_schema()) as writer:
        for text in texts:
            writer.write(text)


def choose(**files: str) -> None:
    for folder, content in files.items():
        Path("configs", folder).mkdir(parents=True, exist_ok=True)
        Path("configs", folder, "mine.yaml").write_text(content, encoding="utf-8")
    Path("configs/config.yaml").write_text("tokenizer: mine\npretrain: mine\npretrained: theirs\n", encoding="utf-8")


def test_text_becomes_shards_in_the_order_of_its_rows(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer.main()
    assert "600 entries" in capsys.readouterr().out
    tokenise.main("generic")
    learnt, corpus = load(tokenizer.OUT), TokenCorpus("data/tokens/generic/train")
    assert corpus.tokenizer == fingerprint(tokenizer.OUT)
    assert (corpus.vocabulary, corpus.documents) == (600, 300)
    assert corpus.text_bytes == sum(len(text.encode()) for text in TEXTS["generic"])
    assert corpus.characters == sum(map(len, TEXTS["generic"]))
    for number in (0, 123, 299):
        assert learnt.decode(corpus.document(number).tolist()) == TEXTS["generic"][number]
    assert TokenCorpus("data/tokens/generic/validation").documents == 2
    assert not Path("data/tokens/generic/test").exists()
    assert "characters per token" in capsys.readouterr().out


def test_a_test_part_is_tokenised_where_there_is_one_and_leaves_with_it(workspace: Path) -> None:
    tokenizer.main()
    prepare("domain", "test", ["one", "two"])
    tokenise.main("domain")
    assert TokenCorpus("data/tokens/domain/test").documents == 2
    Path("data/prepared/domain/test.parquet").unlink()
    tokenise.main("domain")
    assert not Path("data/tokens/domain/test").exists()


def test_an_absent_corpus_makes_empty_shards(workspace: Path) -> None:
    tokenizer.main()
    prepare("domain", "train", [])
    prepare("domain", "validation", [])
    tokenise.main("domain")
    assert TokenCorpus("data/tokens/domain/train").documents == 0


def test_the_domain_is_in_the_vocabulary_when_asked_for_or_when_there_is_nothing_else(workspace: Path) -> None:
    def whole_word() -> bool:
        tokenizer.main()
        return load(tokenizer.OUT).token_to_id("zyzzyva") is not None

    assert not whole_word()
    choose(tokenizer="vocabulary: 600\ninclude_domain: true")
    assert whole_word()
    choose(tokenizer="vocabulary: 600")
    prepare("generic", "train", [])
    assert whole_word()
    prepare("domain", "train", [])
    with pytest.raises(UserError, match="no text to learn a tokenizer from; choose a data set"):
        tokenizer.main()


def test_a_vocabulary_that_the_text_cannot_fill_is_said(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choose(tokenizer="vocabulary: 8192")
    tokenizer.main()
    assert "fewer entries than `vocabulary: 8192`" in capsys.readouterr().out


def test_a_finished_tokenizer_is_taken_byte_for_byte(workspace: Path) -> None:
    tokenizer.main()
    content = tokenizer.OUT.read_bytes()
    choose(tokenizer="vocabulary: 400", pretrain="start: folder")
    with pytest.raises(UserError, match=r"theirs/tokenizer.json: no such file; put the language model's folder"):
        tokenizer.main()
    Path("data/pretrained/theirs").mkdir(parents=True)
    Path("data/pretrained/theirs/tokenizer.json").write_bytes(content)
    tokenizer.OUT.unlink()
    tokenizer.main()
    assert tokenizer.OUT.read_bytes() == content
