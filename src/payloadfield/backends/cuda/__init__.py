"""What a GPU backend stands on: the kernels' declarations, the check of every launch, tables, and the loader.

No backend yet: nothing here is reachable by name from a study or the command line.
"""
