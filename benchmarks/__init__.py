"""Speed and accuracy beside opponents: measured, never promised.

Times are CPU seconds of one thread, so linear algebra libraries are held to one thread before NumPy loads them.
"""

import os

for _library in ("OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("FIPY_SOLVERS", "scipy")
