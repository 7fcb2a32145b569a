"""What every room stands on: one-line errors, atomic files, progress, and the launcher of a stage."""
