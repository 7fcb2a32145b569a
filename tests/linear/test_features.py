"""N-gram features: any script, arrays instead of objects, scikit-learn's definitions."""

import re
import sys
import unicodedata

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.linear.features import (
    Vocabulary,
    inverse_document_frequency,
    learn,
    tf_idf,
    token_ngrams,
    word_ngrams,
)

TEXTS = ["The cat sat on the mat", "the dog sat", "a cat and a dog!", ""]


def test_tf_idf_equals_scikit_learn() -> None:
    vocabulary, counts_NV = learn(word_ngrams(spaced=True), TEXTS, classes=2)
    idf_V = inverse_document_frequency(counts_NV)
    other = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    expected_NV = other.fit_transform(TEXTS)
    assert list(vocabulary.terms) == other.get_feature_names_out().tolist()
    np.testing.assert_allclose(tf_idf(counts_NV, idf_V).toarray(), expected_NV.toarray(), atol=1e-12)
    new = ["cat and mouse", "nothing known"]
    np.testing.assert_allclose(
        tf_idf(vocabulary.counts(new), idf_V).toarray(), other.transform(new).toarray(), atol=1e-12
    )


def test_a_vocabulary_is_rebuilt_from_its_strings_alone() -> None:
    vocabulary, counts_NV = learn(token_ngrams(spaced=True), TEXTS, classes=2)
    again = Vocabulary(token_ngrams(spaced=True), tuple(vocabulary.terms))
    assert (again.counts(TEXTS) != counts_NV).nnz == 0


def test_words_with_combining_marks_stay_whole() -> None:
    vocabulary, _ = learn(word_ngrams(spaced=True), ["हिन्दी किताब"], classes=2)
    assert vocabulary.terms == ("किताब", "हिन्दी", "हिन्दी किताब")


def test_punctuation_is_a_feature_of_nb_svm_only() -> None:
    assert "!" in learn(token_ngrams(spaced=True), TEXTS, classes=2)[0].terms
    assert "!" not in learn(word_ngrams(spaced=True), TEXTS, classes=2)[0].terms


def test_characters_are_the_features_where_words_are_not_spaced() -> None:
    vocabulary, _ = learn(word_ngrams(spaced=False), ["我喜欢猫"], classes=2)
    assert {"喜欢", "猫", "我喜欢猫"} <= set(vocabulary.terms)


def test_only_the_most_frequent_ngrams_are_kept_where_a_model_would_not_fit(monkeypatch) -> None:
    monkeypatch.setattr("pipeline.linear.features.MAX_WEIGHTS", 6)
    vocabulary, counts_NV = learn(word_ngrams(spaced=True), TEXTS, classes=2)
    assert set(vocabulary.terms) >= {"the", "cat"}
    assert counts_NV.shape == (4, 3)


def test_every_combining_mark_of_unicode_belongs_to_a_word() -> None:
    marks = [chr(p) for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p)).startswith("M")]
    word = word_ngrams(spaced=True).unit
    assert [mark for mark in marks if re.fullmatch(word, 2 * mark) is None] == []
