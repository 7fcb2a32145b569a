"""Schema of `configs/self_train/*.yaml`."""

from dataclasses import dataclass

from pipeline.config.numbers import CountOrNone, Positive

FOLDER = "student"  # of the students of all directions, in models/classifier


@dataclass(frozen=True, kw_only=True)
class SelfTrainConfig:
    """A student of the finished classifier: the same network, trained on what that says of unlabelled documents."""

    # Of the domain's text, spread evenly over it. 0: no student; where there are fewer than labelled ones neither.
    documents: CountOrNone = 4000
    # Passes over them and the labelled documents; the other settings are those of configs/classifier/, but for
    # `label_smoothing` and `class_weights`: probabilities are taught as the teacher says them.
    epochs: Positive = 2.0
