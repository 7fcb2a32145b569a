"""Texts in, the same rows with predictions out, in every format that a task can be read from."""
