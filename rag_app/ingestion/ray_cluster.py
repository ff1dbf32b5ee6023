"""A Ray cluster to work on: one that runs already, or one on this machine for as long as needed."""

import logging
import math
import os
import re
import secrets
import socket
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from data.errors import RagAppError
from rag_app.errors import ApplicationError

_log = logging.getLogger(__name__)

_SHORT = Path("/tmp")  # noqa: S108 - a private folder is made in it; socket paths must be short
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # attempts to join, 40 s each
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else warnings of Ray's own go to standard error,
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # and news of dying workers to standard output
}
_OWN_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # anywhere: listen on the loopback address alone
    "RAY_AUTH_MODE": "token",  # other users of this machine could run code in our name
}
_HOST_PORT = re.compile(r"([^/]+):(\d{1,5})")
_PATIENCE = 10.0
"""Seconds that a cluster may take to accept a connection."""
_OBJECT_STORE = 512 * 1024 * 1024


class ClusterError(ApplicationError):
    """Ray is not installed, cannot be reached, or lost workers again and again."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to work, and with what.

    Attributes:
        address: "" starts a Ray on this machine, reachable from this machine alone; "auto" joins
            the one that runs here, ``HOST:PORT`` one elsewhere.
        actors: copies of the encoder.
        cpus_per_actor: processors that Ray sets aside for each.
        gpus_per_actor: the same for GPUs; 0.5 puts two copies on one.
        parsers: documents read at once, one processor each.

    Raises:
        ValueError: an argument out of its range, with the allowed values.
    """

    address: str = ""
    actors: int = 1
    cpus_per_actor: float = 1
    gpus_per_actor: float = 0
    parsers: int = 1

    def __post_init__(self) -> None:
        for name, least in (("actors", 1), ("parsers", 1), ("gpus_per_actor", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: {least} or more")
        if self.cpus_per_actor <= 0:
            raise ValueError(f"cpus_per_actor is {self.cpus_per_actor}; allowed: above 0")
        if self.address not in ("", "auto") and not _HOST_PORT.fullmatch(self.address):
            raise ValueError(f"address is {self.address!r}; allowed: '', 'auto' and HOST:PORT")

    @property
    def cpus(self) -> int:
        """Processors that all workers take together."""
        return math.ceil(self.parsers + self.actors * self.cpus_per_actor)

    @property
    def gpus(self) -> float:
        """GPUs that all workers take together."""
        return self.actors * self.gpus_per_actor


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Ray for as long as the context; one that this process uses already is used, and left alone.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached.
    """
    os.environ.update(_ENVIRONMENT)
    if not cluster.address:
        os.environ.update(_OWN_ENVIRONMENT)  # read when Ray is imported, and by its processes
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError(
            "engine `ray` is not available",
            cause=f"{error.name} is not installed",
            hint="pip install 'rag-app[ray]', on this machine and on every node of the cluster",
        ) from None
    with ExitStack() as using:
        using.enter_context(_silence())
        if not ray.is_initialized():
            parent = _SHORT if _SHORT.is_dir() else Path(gettempdir())
            folder = using.enter_context(TemporaryDirectory(prefix="rag-", dir=parent))
            using.callback(ray.shutdown)
            if cluster.address:
                _join(cluster.address)
            else:
                _start(cluster, Path(folder, "ray"))  # Ray opens its own folder to everybody
        _compare(cluster, ray.cluster_resources())
        yield


def explained(error: BaseException) -> BaseException:
    """What made work on the cluster fail: our own error if a worker raised one, as it raised it."""
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError, WorkerCrashedError

    cause: Any = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    if isinstance(cause, RagAppError):  # made anew, for Ray adds its own words to the old one
        plain: BaseException = type(cause)(cause.message, cause=cause.cause, hint=cause.hint)
        return plain
    if cause is not error:  # a fault of the program: it keeps the worker's traceback
        return error
    died = isinstance(error, OutOfMemoryError | RayActorError | WorkerCrashedError)
    return ClusterError(
        "the Ray cluster gave up",
        cause="its workers died, and so did those that were given their work"
        if died
        else _first_line(error),
        hint="If they need more memory, use fewer of them. Ingest again: finished documents "
        "are kept",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _join(address: str) -> None:
    import ray

    try:
        if match := _HOST_PORT.fullmatch(address):  # Ray itself would try for minutes
            socket.create_connection((match[1], int(match[2])), _PATIENCE).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"cannot join the Ray cluster at {address!r}",
            cause=_first_line(error),
            hint="Check with `ray status` that it runs, or leave the address empty to start one",
        ) from error


def _start(cluster: Cluster, folder: Path) -> None:
    import ray

    try:
        ray.init(
            address="local",
            num_cpus=max(cluster.cpus, os.cpu_count() or 1),
            object_store_memory=_OBJECT_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(folder),
        )
    except Exception as error:  # Ray has no narrower one for a node that does not come up
        raise ClusterError(
            "Ray does not start on this machine",
            cause=_first_line(error),
            hint="Its processes have 30 seconds to start: try again when the machine is less "
            "busy, or ingest with --engine local",
        ) from error


def _compare(cluster: Cluster, there: dict[str, float]) -> None:
    """Say what will make the work wait: a cluster may grow, a machine does not."""
    for name, needed in (("CPU", cluster.cpus), ("GPU", cluster.gpus)):
        have = there.get(name, 0.0)
        if needed <= have:
            continue
        lacking = f"{needed:g} {name}s are needed, the Ray cluster has {have:g}"
        if not cluster.address:
            raise ClusterError(
                "engine `ray` cannot start its workers",
                cause=lacking,
                hint="Use fewer actors, or less for each",
            )
        _log.warning("%s: work waits until it has more", lacking)


@contextmanager
def _silence() -> Iterator[None]:
    """What fails is raised, and told once; advice on how to use Ray is for us, not for users."""
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # it has no other name for the retries yet, and few passages leave encoders idle
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        warnings.filterwarnings("ignore", "The minimum number of concurrent actors")
        try:
            yield
        finally:
            logger.setLevel(level)
