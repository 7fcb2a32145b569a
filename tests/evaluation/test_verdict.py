"""The sentence about a result is true in every case: ahead, behind, chance, equal, nothing measured."""

from typing import Any

from pipeline.evaluation.verdict import verdict


def metrics(pipeline: float, interval: tuple[float, float], **others: float) -> dict[str, Any]:
    """Accuracies; the interval is that of the difference to every other system."""
    systems = {name: {"accuracy": value} for name, value in {"pipeline": pipeline, **others}.items()}
    lead = {name: {"accuracy": pipeline - value, "accuracy_interval": list(interval)} for name, value in others.items()}
    return {"systems": systems, "lead": lead}


def test_a_sure_lead_names_the_best_of_the_others() -> None:
    said = verdict(metrics(0.8, (0.05, 0.15), nb_svm=0.7, majority=0.1))
    assert said.startswith("The pipeline is ahead of every other system, of NB-SVM by 0.100")
    assert "chance" not in said


def test_a_lead_within_the_interval_may_be_chance() -> None:
    assert "may be chance" in verdict(metrics(0.71, (-0.01, 0.03), nb_svm=0.7))


def test_a_loss_is_called_a_loss_and_every_winner_is_named() -> None:
    said = verdict(metrics(0.6, (-0.15, -0.05), nb_svm=0.7, tfidf_lr=0.65, scratch=0.3))
    assert said.startswith("The pipeline loses to NB-SVM by 0.100")
    assert "It also loses to TF-IDF + logistic regression." in said
    assert "not pretrained" not in said


def test_a_network_of_another_shape_is_not_called_the_same() -> None:
    said = verdict(metrics(0.6, (-0.15, -0.05), nb_svm=0.5, other_scratch=0.7))
    assert said.startswith("The pipeline loses to configs/model, not pretrained by 0.100")
    assert "same network" not in said


def test_equal_accuracy_is_neither() -> None:
    said = verdict(metrics(0.7, (-0.02, 0.02), nb_svm=0.7))
    assert "equal" in said
    assert "loses" not in said


def test_nothing_measured_claims_nothing() -> None:
    assert verdict({"systems": {}, "lead": {}}) == "There is no test part, so nothing was measured on held-out labels."
