"""The logistic regressions that make a linear model."""

import warnings

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from pipeline.linear.model import LinearModel

MAX_ITERATIONS = 500


def fit_softmax(features_NV: csr_matrix, labels_N: np.ndarray, classes: int, strength: float) -> LinearModel:
    """Multinomial logistic regression; `strength` is scikit-learn's C, the inverse of the regularisation.

    Without features the classes' smoothed shares are all there is to know.
    """
    weights_VC = np.zeros((features_NV.shape[1], classes))
    if not features_NV.shape[1]:
        return LinearModel(
            weights_VC, np.log((np.bincount(labels_N, minlength=classes) + 1) / (len(labels_N) + classes))
        )
    bias_C = np.full(classes, -np.log(1.0 + len(labels_N)))  # a class without documents: as rare as one in N
    solver = _solve(features_NV, labels_N, strength)
    present = solver.classes_
    if len(present) == 2:  # scikit-learn keeps one vector of log odds for two classes
        weights_VC[:, present[1]], bias_C[present[1]] = solver.coef_[0] / 2, solver.intercept_[0] / 2
        weights_VC[:, present[0]], bias_C[present[0]] = -solver.coef_[0] / 2, -solver.intercept_[0] / 2
    else:
        weights_VC[:, present], bias_C[present] = solver.coef_.T, solver.intercept_
    return LinearModel(weights_VC, bias_C)


def fit_binary(features_NV: csr_matrix, positive_N: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Logistic regression of one label against the rest: weights (V,) and bias.

    A label that all documents carry, or none, gets its smoothed log odds as the bias and no weights; so does every
    label where there are no features.
    """
    carried, total = int(positive_N.sum()), len(positive_N)
    if carried in (0, total) or not features_NV.shape[1]:
        return np.zeros(features_NV.shape[1]), float(np.log((carried + 0.5) / (total - carried + 0.5)))
    solver = _solve(features_NV, positive_N, strength)
    return solver.coef_[0], float(solver.intercept_[0])


def _solve(features_NV: csr_matrix, labels_N: np.ndarray, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        # With separable labels and weak regularisation the last digits of the optimum change no prediction.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(features_NV, labels_N)
