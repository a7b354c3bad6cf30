"""Backends: the operations of a step on one kind of machine each; all see a plan of arrays and tables."""
