"""Solves the points of a sweep on a Dask cluster: of this machine, of a scheduler that is there, or of SLURM."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from payloadfield.backends.cores import count_usable_cores
from payloadfield.backends.cuda.backend import DEVICE_VARIABLE
from payloadfield.backends.cuda.status import examine
from payloadfield.backends.registry import resolve
from payloadfield.compare.sweep.job import Job, version
from payloadfield.compare.sweep.worker import solve_point, write_failure
from payloadfield.errors import ResourceError, RunError
from payloadfield.store.interrupt import StopRequest

_log = logging.getLogger(__name__)

#: Times that a point may take its worker with it before it counts as failed.
DEATHS_ALLOWED = 3
#: What keeps a worker to one core: the cores are shared by the workers, not by their threads.
ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
_PATIENCE = "20s"
_WAITING = 4  # points handed to each worker ahead of time


@dataclass(frozen=True)
class Workers:
    """Where the points of a sweep are solved.

    count: workers of this machine or of SLURM; None for one a core, or one a GPU on the backend cupy.
    scheduler: address of one that is there.  slurm: options of dask_jobqueue.SLURMCluster, such as cores, memory,
    queue, walltime; None for no SLURM.
    """

    count: int | None = None
    scheduler: str | None = None
    slurm: Mapping[str, Any] | None = field(default=None)


def solve_points(
    job: Job,
    workers: Workers,
    *,
    backend: str | None = None,
    stop: StopRequest | None = None,
    report: Callable[[int, str | None], None] = lambda index, reason: None,
) -> None:
    """Solve every point that has no result yet; a killed worker's points are solved by another.

    report: hears of every point that ends, with the reason if it failed.  Raises RunError where no scheduler answers or
    workers have another version, ResourceError where a disk is full.
    """
    remaining = job.remaining()
    if not remaining:
        return
    request = stop or StopRequest()
    devices = _devices(backend)
    with _client(workers, len(remaining), len(devices)) as client:
        if devices and workers.scheduler is None and workers.slurm is None:
            client.register_plugin(one_device_each(devices))
        _refuse_other_versions(client)
        if not client.scheduler_info()["workers"]:
            _log.warning("No worker is there yet; the points wait for the first one")
        waiting = iter(remaining)
        _work(client, job, waiting, backend, request, report)


def _work(
    client: Any, job: Job, waiting: Iterator[int], backend: str | None, stop: StopRequest,
    report: Callable[[int, str | None], None],
) -> None:  # fmt: skip
    """Keep a few points ahead at every worker, so that neither workers nor scheduler wait."""
    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    at_work: dict[Any, int] = {}

    def hand_out() -> Any | None:
        index = next(waiting, None)
        if index is None or stop.is_set:
            return None
        future = client.submit(
            solve_point, str(job.sweep.file.resolve()), str(job.folder.resolve()), index, backend,
            key=f"point-{job.folder.name}-{index}", pure=False, retries=0,
        )  # fmt: skip
        at_work[future] = index
        return future

    ahead = max(1, len(client.scheduler_info()["workers"])) * _WAITING
    first = [future for future in (hand_out() for _ in range(ahead)) if future is not None]
    finished = as_completed(first)
    for future in finished:
        index = at_work.pop(future)
        try:
            report(index, future.result())
        except KilledWorker:
            reason = f"its worker was killed {DEATHS_ALLOWED + 1} times; does a point need more memory than there is?"
            write_failure(job, index, reason)
            report(index, reason)
        except CancelledError:
            raise RunError(
                f"scheduler {client.scheduler.address}: went away; what was solved is kept: the same command goes on"
            ) from None
        except ResourceError:
            client.cancel(list(at_work))
            raise
        following = hand_out()
        if following is not None:
            finished.add(following)


def _devices(backend: str | None) -> list[int]:
    """Numbers of the usable GPUs where the points are solved on GPUs; none otherwise."""
    if backend != "cupy":
        return []
    resolve(backend)
    return [device.number for device in examine().devices if not device.reason_against]


def one_device_each(devices: Sequence[int]) -> Any:
    """A Dask plugin that gives each worker of this machine a GPU of its own, also after it was started again."""
    from distributed import WorkerPlugin

    class OneDeviceEach(WorkerPlugin):
        name = "one-device-each"

        def setup(self, worker: Any) -> None:
            os.environ[DEVICE_VARIABLE] = str(devices[int(worker.name) % len(devices)])

    return OneDeviceEach()


def _refuse_other_versions(client: Any) -> None:
    """Raise RunError where a worker computes with another version of payloadfield than the one here."""
    found = client.run(version)
    others = sorted({each for each in found.values() if each != version()})
    if others:
        raise RunError(
            f"scheduler {client.scheduler.address}: workers have payloadfield {', '.join(others)}, and this is "
            f"{version()}; their numbers may differ: install one version on all, or use workers of this machine"
        )


@contextmanager
def _client(workers: Workers, n_points: int, n_devices: int) -> Iterator[Any]:
    """A Dask client of the cluster that was asked for, closed at the end."""
    try:
        import distributed
    except ImportError:
        raise RunError(
            "sweep: needs Dask, which is not installed; install payloadfield[sweep], or solve all points in this "
            "process with --part 1/1"
        ) from None
    with ExitStack() as stack:
        if workers.scheduler is not None:
            target: Any = workers.scheduler
        else:
            target = stack.enter_context(
                _slurm(workers) if workers.slurm is not None else _local(workers, n_points, n_devices)
            )
        try:
            client = stack.enter_context(distributed.Client(target, timeout=_PATIENCE))
        except (OSError, ValueError, TimeoutError) as error:
            raise RunError(
                f"scheduler {workers.scheduler}: does not answer within {_PATIENCE} ({error}); start one with "
                "`dask scheduler`, check the address, or leave --scheduler out to use this machine"
            ) from None
        yield client


def _local(workers: Workers, n_points: int, n_devices: int) -> Any:
    """Processes of this machine, one thread each: one a GPU, or one a core without GPUs."""
    import dask
    from distributed import LocalCluster

    count = min(workers.count or n_devices or count_usable_cores(), n_points)
    os.environ.update({key: os.environ.get(key, value) for key, value in ONE_THREAD.items()})
    dask.config.set({"distributed.scheduler.allowed-failures": DEATHS_ALLOWED})
    _log.info("%d workers on this machine", count)
    return LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL)


def _slurm(workers: Workers) -> Any:
    """Jobs of SLURM, one worker each."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise RunError("sweep --slurm: needs dask-jobqueue; install payloadfield[sweep]") from None
    if shutil.which("sbatch") is None:
        raise RunError(
            "sweep --slurm: there is no sbatch on this machine; start it where SLURM jobs are submitted, or use --part "
            "in an array of jobs"
        )
    prologue = [f"export {key}={value}" for key, value in ONE_THREAD.items()]
    cluster = SLURMCluster(**{"processes": 1, "job_script_prologue": prologue, **(workers.slurm or {})})
    cluster.scale(workers.count or 1)
    _log.info("%d SLURM jobs asked for", workers.count or 1)
    return cluster
