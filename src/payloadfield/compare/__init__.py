"""Comparing designs: which cases to solve, their runs, and what came of each."""
