import json
import subprocess
import sys

import pytest

from rag_app.errors import SettingsError
from rag_app.ingestion.ray_cluster import Cluster, ClusterError, connected, explained
from retrieval.encoders.errors import EncoderError
from tests.conftest import REPOSITORY

RAY_ITSELF = pytest.mark.filterwarnings("ignore:`use_.*` is deprecated:DeprecationWarning")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"actors": 0}, "actors is 0; allowed: 1 or more"),
        ({"parsers": 0}, "parsers is 0; allowed: 1 or more"),
        ({"gpus_per_actor": -1}, "gpus_per_actor is -1; allowed: 0 or more"),
        ({"cpus_per_actor": 0}, "cpus_per_actor is 0; allowed: above 0"),
        ({"address": "ray://head:10001"}, "allowed: '', 'auto' and HOST:PORT"),
        ({"address": "head"}, "allowed: '', 'auto' and HOST:PORT"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Cluster(**arguments)


def test_workers_are_counted_in_processors_and_gpus():
    cluster = Cluster("head:6379", actors=4, cpus_per_actor=1.5, gpus_per_actor=0.5, parsers=3)
    assert (cluster.cpus, cluster.gpus) == (9, 2)


def test_without_ray_the_hint_is_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"ray is not installed\. pip install 'rag-app\[ray\]'"):
        with connected(Cluster()):
            pytest.fail("there is no cluster")


@RAY_ITSELF
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379"])
def test_a_cluster_that_is_not_there_is_named_at_once(address):
    with pytest.raises(ClusterError, match=f"cannot join the Ray cluster at '{address}'"):
        with connected(Cluster(address)):
            pytest.fail("there is no cluster")


def failed_task(cause: Exception) -> Exception:
    """What Ray raises here when a worker raised `cause`."""
    from ray.exceptions import RayTaskError

    return RayTaskError("work", "Traceback ...", cause).as_instanceof_cause()


@pytest.mark.parametrize("kind", [EncoderError, SettingsError])
def test_an_error_of_ours_comes_back_without_what_ray_adds(kind):
    raised = kind("the model is gone", cause="it was lent", hint="Buy one")
    raised.args = (f"{raised.args[0]}\nFailed after 1/1 attempts",)
    shown = explained(failed_task(raised))
    assert type(shown) is kind
    assert str(shown) == "the model is gone: it was lent. Buy one"


def test_a_fault_of_the_program_keeps_its_traceback():
    error = failed_task(ZeroDivisionError("division by zero"))
    assert explained(error) is error


def test_dead_workers_are_told_as_such():
    from ray.exceptions import ActorDiedError, GetTimeoutError

    assert "its workers died" in str(explained(ActorDiedError()))
    assert str(explained(GetTimeoutError("Too\nlate"))).startswith("the Ray cluster gave up: Too.")


SCRIPT = """
import json, socket, subprocess, sys
from pathlib import Path
from rag_app.ingestion.ray_cluster import Cluster, ClusterError, connected

def reached(port):
    # the address that other machines would use; a datagram socket sends nothing to find it
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
            address = probe.getsockname()[0]
            socket.create_connection((address, port), 1).close()
        except OSError:
            return False
        return not address.startswith("127.")

def joined(address):
    # another process, as an ingestion is that joins a cluster
    script = '''
import sys
from rag_app.ingestion.ray_cluster import Cluster, connected
with connected(Cluster(sys.argv[1])):
    import ray
    print(len(ray.nodes()), ray.get(ray.remote(lambda: 7).remote()))
'''
    command = [sys.executable, "-c", script, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.split()

seen = []
for _ in range(2):
    with connected(Cluster(parsers=3)):
        import ray
        (node,) = ray.nodes()
        folder = Path(node["ObjectStoreSocketName"]).parents[3]
        seen.append([node["NodeManagerAddress"], node["Resources"]["CPU"] >= 4,
                     oct(folder.stat().st_mode & 0o777), reached(node["NodeManagerPort"])])
        if len(seen) == 1:
            seen.append(joined(ray.get_runtime_context().gcs_address))
    seen.append(folder.exists() or ray.is_initialized())
try:
    with connected(Cluster(actors=2, gpus_per_actor=600)):
        pass
except ClusterError as error:
    seen.append(str(error))
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_a_cluster_of_ones_own_is_private_can_be_joined_and_leaves_nothing_behind():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, joined, kept, second, kept_again, lacking = json.loads(done.stdout)
    assert first == second == ["127.0.0.1", True, "0o700", False]
    assert joined == ["1", "7"]
    assert (kept, kept_again) == (False, False)
    assert "1200 GPUs are needed" in lacking
    assert "Traceback" not in done.stderr
