"""The public library: `TextClassifier`, a finished classifier; `UlmfitClassifier`, which trains one in scikit-learn."""

from typing import TYPE_CHECKING, Any

from pipeline.inference.predictor import Predictor

if TYPE_CHECKING:
    from pipeline.estimator import UlmfitClassifier

__all__ = ["TextClassifier", "UlmfitClassifier"]


class TextClassifier(Predictor):
    """A trained classifier, ready for use.

    >>> classifier = TextClassifier.load("models/classifier")  # doctest: +SKIP
    >>> classifier.predict(["The ship lay at the quay."])  # doctest: +SKIP
    ['harbour']

    `labels` names the classes in the order of the columns of `predict_proba(texts)`, float64 `(N, C)`. A folder that
    is missing, damaged or of another kind raises `pipeline.base.errors.UserError`.
    """


def __getattr__(name: str) -> Any:
    # Late: scikit-learn takes a second or two to import, and a finished classifier does not need it.
    if name == "UlmfitClassifier":
        from pipeline.estimator import UlmfitClassifier

        return UlmfitClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
