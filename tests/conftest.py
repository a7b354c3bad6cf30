"""Settings every test shares: quiet threads, a cache that outlives the session, repeatable random examples."""

import os
from pathlib import Path

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # a bare machine with a GPU: its tests need none of it
    settings = None

ROOT = Path(__file__).resolve().parents[1]

# Before numba is imported anywhere. Two threads also on a bigger machine: the same reductions, the same bits.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

# Generated mechanism code is compiled once per checkout, not once per session, and never in the user's own cache.
os.environ.setdefault("PAYLOADFIELD_CACHE", str(ROOT / ".pytest_cache" / "payloadfield"))

if settings is not None:
    settings.register_profile(
        "repeatable",
        derandomize=True,
        deadline=None,
        max_examples=40,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of a test
    )
    settings.load_profile("repeatable")
