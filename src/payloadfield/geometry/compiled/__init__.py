"""Loops over voxels compiled by Numba, for what array operations are slow at."""
