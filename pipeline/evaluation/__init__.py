"""Predictions and labels in, numbers out."""
