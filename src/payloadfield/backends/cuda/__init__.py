"""What the GPU backend stands on: the kernels' declarations, the check of every launch, tables, and machines.

The step's program is solver/device; nothing of it has run on a GPU yet.
"""
