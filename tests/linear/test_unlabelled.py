"""Promises of the linear models that read unlabelled text: they know words that no labelled document has."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.linear import em_naive_bayes, lsa_lr
from pipeline.linear.artifact import Blend, load_blend, save_blend
from pipeline.linear.blend import Weights
from pipeline.linear.em_naive_bayes import STEPS, Guess, Unlabelled, balanced, naive_bayes
from pipeline.linear.features import MAX_WEIGHTS, Vocabulary, tf_idf, token_ngrams
from pipeline.linear.held_out import held_out
from pipeline.linear.learners import Learners
from pipeline.linear.space import FEWEST, TERMS, Space, learn_space, load_space, save_space
from pipeline.text.prepared import PreparedWriter, corpus_schema

TOPICS = [[f"{word}{number}" for number in range(40)] for word in ("sea", "oven", "tree")]


def documents(number: int, seed: int, of_one: float = 0.7) -> tuple[list[str], np.ndarray]:
    """Documents of twelve words, such a share of them from one of three topics of forty words each."""
    random = np.random.Generator(np.random.PCG64(seed))
    labels_N = random.integers(3, size=number)
    texts = []
    for label in labels_N:
        topics = np.where(random.random(12) < of_one, label, random.integers(3, size=12))
        texts.append(" ".join(TOPICS[topic][random.integers(40)] for topic in topics))
    return texts, labels_N


@pytest.fixture(scope="module")
def space() -> Space:
    found = learn_space(documents(900, 1)[0], spaced=True)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def learners(space: Space) -> Learners:
    return Learners(3, True, space, Unlabelled.read(documents(900, 1)[0], space))


def test_words_of_a_kind_lie_close_together(space: Space) -> None:
    basis_VR = space.basis_VR
    np.testing.assert_allclose(basis_VR.T @ basis_VR, np.eye(basis_VR.shape[1]), atol=1e-4)
    rows = {word: space.vocabulary.terms.index(word) for topic in TOPICS for word in topic}
    strongest = basis_VR[:, :3] / np.linalg.norm(basis_VR[:, :3], axis=1, keepdims=True)

    def likeness(one: str, other: str) -> float:
        return float(strongest[rows[one]] @ strongest[rows[other]])

    assert likeness("sea1", "sea2") > likeness("sea1", "oven2") + 0.5


@pytest.mark.parametrize("name", ["lsa_lr", *STEPS])
def test_six_labels_reach_words_that_none_of_them_has(learners: Learners, name: str) -> None:
    texts, labels_N = documents(60, 2)
    few = np.concatenate([np.flatnonzero(labels_N == label)[:2] for label in range(3)])
    some, given = [texts[row] for row in few], labels_N[few]
    test, truth = documents(300, 3)
    fitted = {one: learners.fit([one], some, given)[one] for one in ("tfidf_lr", name)}
    right = {one: (model.predict_proba(test).argmax(1) == truth).mean() for one, model in fitted.items()}
    assert right[name] > right["tfidf_lr"] + 0.05


@pytest.mark.parametrize("place", [20, 200])
def test_as_many_directions_are_looked_at_as_the_labels_can_weigh(place: int) -> None:
    """Words are the directions, the strongest first; one of two tells the class, among the first or far behind."""
    words = [f"word{number:03}" for number in range(256)]
    vocabulary = Vocabulary(token_ngrams(spaced=True), tuple(words))
    space = Space(vocabulary, np.ones(256, np.float32), np.eye(256, dtype=np.float32))
    random = np.random.Generator(np.random.PCG64(5))
    labels_N = np.arange(100) % 2
    texts = [" ".join(words[n] for n in (*random.choice(256, 12), place + label)) for label in labels_N]
    fitted = Learners(2, True, space).fit(["lsa_lr"], texts, labels_N)["lsa_lr"]
    assert fitted.settings["directions"] == (32 if place < 32 else 256)
    assert (fitted.predict_proba(texts).argmax(1) == labels_N).mean() > 0.9


@pytest.mark.parametrize("name", ["lsa_lr", *STEPS])
def test_labelled_text_without_a_word_of_the_domains_is_learnt_nothing_from(learners: Learners, name: str) -> None:
    for known in ("", "sea1 sea2"):
        fitted = learners.fit([name], [f"{known} alpha{number}" for number in range(30)], np.arange(30) % 3)[name]
        np.testing.assert_allclose(fitted.predict_proba(["oven7 beta"]).sum(axis=1), 1, rtol=1e-5)


def test_what_judges_a_model_has_not_taught_it_as_unlabelled_text_either(space: Space) -> None:
    """A document held out is unlabelled text of the domain too, and what EM guesses of it would speak for the guess."""
    texts, labels_N = documents(60, 2)
    others, rows = documents(300, 1)[0], np.arange(60)
    parts = [(rows[rows % 3 != part], rows[rows % 3 == part]) for part in range(3)]
    with_them = Learners(3, True, space, Unlabelled.read([*others, *texts], space))
    said = held_out(with_them, texts, labels_N, parts, 1)
    for train_N, held_N in parts:
        never = Learners(3, True, space, Unlabelled.read([*others, *(texts[row] for row in train_N)], space))
        fitted = never.fit(list(STEPS), [texts[row] for row in train_N], labels_N[train_N])
        for name, one in fitted.items():
            np.testing.assert_allclose(said[name][held_N], one.predict_proba([texts[row] for row in held_N]), rtol=1e-6)


def test_they_come_back_from_the_folder_of_a_blend(learners: Learners, tmp_path: Path) -> None:
    texts, labels_N = documents(40, 4)
    fitted = learners.fit(["nb_em_15"], texts, labels_N)["nb_em_15"]
    weights = Weights(0.5, {"it": 0.5})
    save_blend(tmp_path / "blend", Blend(("a", "b", "c"), ("forward",), weights, {"it": fitted}))
    loaded = load_blend(tmp_path / "blend").linear["it"]
    np.testing.assert_allclose(loaded.predict_proba(texts), fitted.predict_proba(texts), atol=1e-5)


def test_a_space_comes_back_from_its_folder(space: Space, tmp_path: Path) -> None:
    save_space(tmp_path / "lsa", space, spaced=True)
    loaded = load_space(tmp_path / "lsa", 3)
    assert loaded is not None
    texts = documents(5, 5)[0]
    assert (loaded.places(texts) == space.places(texts)).all()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("terms.json", '["one"]'),
        ("terms.json", "1"),
        ("config.json", '{"kind": "space"}'),
        ("config.json", '{"kind": "space", "terms": 9}'),
        ("config.json", "[]"),
        ("space.safetensors", "cut short"),
    ],
)
def test_a_damaged_space_is_one_line(space: Space, tmp_path: Path, file: str, content: str) -> None:
    save_space(tmp_path / "lsa", space, spaced=True)
    (tmp_path / "lsa" / file).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"lsa: is not a whole space .*; make it again with `dvc repro lsa`") as caught:
        load_space(tmp_path / "lsa", 3)
    assert "\n" not in str(caught.value)


def test_models_of_many_classes_hold_the_most_common_n_grams_alone(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_WEIGHTS // 167 >= TERMS > MAX_WEIGHTS // 168, "so far nothing is left out"
    monkeypatch.setattr("pipeline.linear.space.MAX_WEIGHTS", 90 * 3)
    save_space(tmp_path / "lsa", space, spaced=True)
    with PreparedWriter(tmp_path / "train.parquet", corpus_schema()) as file:
        for text in documents(900, 1)[0]:
            file.write(text)
    task = {"labels": ["a", "b", "c"], "multilabel": False, "spaced": True}
    learners = Learners.open(task, tmp_path / "lsa", tmp_path / "train.parquet")
    assert learners.space is not None
    kept = set(learners.space.vocabulary.terms)
    rarest = max(idf for term, idf in zip(space.vocabulary.terms, space.idf_V, strict=True) if term in kept)
    assert all(idf >= rarest for term, idf in zip(space.vocabulary.terms, space.idf_V, strict=True) if term not in kept)
    (texts, labels_N), (test, truth) = documents(30, 2), documents(300, 3)
    for name, fitted in learners.fit(["lsa_lr", *STEPS], texts, labels_N).items():
        assert fitted.model.weights_VC.shape == (90, 3), name
        assert (fitted.predict_proba(test).argmax(1) == truth).mean() > 0.8, name


def test_little_text_has_no_space_and_no_model_of_it(tmp_path: Path) -> None:
    assert learn_space(documents(FEWEST - 1, 1)[0], spaced=True) is None
    assert learn_space([f"word{number}" for number in range(FEWEST)], spaced=True) is None, "no two share a word"
    save_space(tmp_path / "lsa", None, spaced=True)
    assert load_space(tmp_path / "lsa", 3) is None
    assert Learners(3, True).names == ("tfidf_lr", "nb_svm")


def test_a_teacher_s_favourite_class_does_not_take_over() -> None:
    random = np.random.Generator(np.random.PCG64(1))
    skewed_NC = random.dirichlet([8.0, 1.0, 1.0], size=500)
    even_NC = balanced(skewed_NC, np.full(3, 1 / 3))
    np.testing.assert_allclose(even_NC.mean(axis=0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(even_NC.sum(axis=1), 1)


def test_an_unlabelled_document_counts_three_tenths_of_a_labelled_one(space: Space) -> None:
    """One step of EM by hand: the teacher's guesses, and the n-grams of both kinds of documents under them."""
    (texts, labels_N), unlabelled = documents(12, 4), Unlabelled.read(documents(200, 5)[0], space)
    shares_C = (np.bincount(labels_N, minlength=3) + 1) / (len(texts) + 3)
    given_NV = tf_idf(space.vocabulary.counts(texts), space.idf_V)
    teacher = lsa_lr.fit(texts, labels_N, classes=3, space=space).model
    guessed_NC = balanced(teacher.probabilities(unlabelled.features_NV, False), shares_C)
    weight_VC = given_NV.T @ np.eye(3)[labels_N] + 0.3 * (unlabelled.features_NV.T @ guessed_NC)
    expected = naive_bayes(weight_VC, shares_C)
    found = Learners(3, True, space, unlabelled).fit(["nb_em_1"], texts, labels_N)["nb_em_1"].model
    np.testing.assert_allclose(found.weights_VC, expected.weights_VC, rtol=1e-6, atol=1e-9)


def test_many_steps_begin_from_the_network_s_guess_and_one_from_that_of_latent_directions(space: Space) -> None:
    """From labels that name two topics for each other EM cannot come back; from a better teacher it need not."""
    (texts, labels_N), text = documents(9, 4), documents(300, 5)
    swapped_N = np.array([1, 0, 2])[labels_N]
    learners = Learners(3, True, space, Unlabelled.read(text[0], space))
    test, truth_N = documents(200, 6)
    (guess,) = learners.guesses(text[0][:100], [np.eye(3)[text[1][:100]] * 0.7 + 0.1])

    def right_of(name: str, guess: Guess | None) -> float:
        said = learners.fit([name], texts, swapped_N, guess=guess)[name].predict_proba(test)
        return float((said.argmax(axis=1) == truth_N).mean())

    assert right_of("nb_em_15", None) < 0.5 < 0.9 < right_of("nb_em_15", guess)
    assert right_of("nb_em_1", guess) == right_of("nb_em_1", None) < 0.5


def test_each_fold_s_naive_bayes_begins_from_its_own_network_s_guess(learners: Learners) -> None:
    texts, labels_N = documents(30, 4)
    rows, (some, truth_M) = np.arange(30), documents(60, 7)
    folds = [(rows[rows % 2 != part], rows[rows % 2 == part]) for part in range(2)]
    guesses = learners.guesses(some, [np.eye(3)[truth_M], np.eye(3)[(truth_M + 1) % 3]])
    said = held_out(learners, texts, labels_N, folds, 1, guesses)["nb_em_15"]
    for (train_N, held_N), guess in zip(folds, guesses, strict=True):
        held = [texts[row] for row in held_N]
        given = [texts[row] for row in train_N], labels_N[train_N]
        fitted = learners.fit(["nb_em_15"], *given, held, guess)["nb_em_15"]
        np.testing.assert_array_equal(said[held_N], fitted.predict_proba(held))
    right_N = said.argmax(axis=1) == labels_N
    assert right_N[folds[0][1]].mean() > 0.9 > 0.1 > right_N[folds[1][1]].mean()


def test_of_much_text_every_so_many_th_document_is_read(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = documents(90, 1)[0]
    assert Unlabelled.read(texts, space).features_NV.shape[0] == 90
    monkeypatch.setattr(em_naive_bayes, "CHARACTERS", sum(map(len, texts)) // 3 + 1)
    assert Unlabelled.read(texts, space).features_NV.shape[0] == 30
    characters = learn_space(texts * 3, spaced=False)
    assert characters is not None
    assert Unlabelled.read(texts, characters).features_NV.shape[0] == 4, "they have more n-grams"


def test_of_much_text_no_more_is_held_than_what_is_read(space: Space, tmp_path: Path, monkeypatch) -> None:
    texts = [" ".join([text] * 120) for text in documents(4000, 1)[0]]
    characters = sum(map(len, texts))
    monkeypatch.setattr(em_naive_bayes, "CHARACTERS", characters // 100)
    read = Unlabelled.read(texts, space)
    with PreparedWriter(tmp_path / "train.parquet", corpus_schema()) as file:
        for text in texts:
            file.write(text)
    save_space(tmp_path / "lsa", space, spaced=True)
    del texts, text
    tracemalloc.start()
    learners = Learners.open(
        {"labels": ["a", "b", "c"], "spaced": True, "multilabel": False}, tmp_path / "lsa", tmp_path / "train.parquet"
    )
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert learners.unlabelled is not None
    np.testing.assert_array_equal(learners.unlabelled.keys_N, read.keys_N)
    assert (learners.unlabelled.features_NV != read.features_NV).nnz == 0
    assert most < characters / 3


OPINIONS = [[f"{word}{number}" for number in range(10)] for word in ("fine", "dull")]


def reviews(number: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Documents of a topic each, with two words more, mostly of the opinion that is the label."""
    random = np.random.Generator(np.random.PCG64(seed))
    labels_N = random.integers(2, size=number)
    told_N = np.where(random.random(number) < 0.85, labels_N, 1 - labels_N)
    said = [" ".join(OPINIONS[told][n] for n in random.integers(10, size=2)) for told in told_N]
    return [
        f"{text} {words}" for text, words in zip(documents(number, seed + 50, 0.95)[0], said, strict=True)
    ], labels_N


def right(text: list[str], given: tuple[list[str], np.ndarray], test: tuple[list[str], np.ndarray]) -> dict[str, float]:
    """Share of the test documents that models of a few labels and of unlabelled text name rightly."""
    space = learn_space(text, spaced=True)
    assert space is not None
    learners = Learners(int(test[1].max()) + 1, True, space, Unlabelled.read(text, space))
    return {
        name: float((learners.fit([name], *given)[name].predict_proba(test[0]).argmax(1) == test[1]).mean())
        for name in ("lsa_lr", *STEPS)
    }


def test_steps_of_em_find_the_groups_that_the_text_falls_into_whether_or_not_these_are_the_classes() -> None:
    """So both are learnt: of topics many steps know more, of opinions about any topic one step does."""
    (topics, of_topics), (opinions, of_opinions) = documents(900, 1, 0.5), reviews(900, 1)
    found = right(topics, (topics[:9], of_topics[:9]), documents(600, 3, 0.5))
    assert found["lsa_lr"] + 0.03 < found["nb_em_1"]
    assert found["nb_em_1"] + 0.03 < found["nb_em_15"]
    found = right(opinions, (opinions[:80], of_opinions[:80]), reviews(600, 3))
    assert found["nb_em_15"] + 0.03 < found["nb_em_1"]
