"""Sweeps: many points of a study, solved by many processes, one small file for each result."""
