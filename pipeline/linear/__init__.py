"""Linear classifiers on n-gram features: the baselines every result stands beside."""
