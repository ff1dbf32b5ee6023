"""The confinement that docker-compose.yml gives a container, by bubblewrap.

A read-only root, the user of the image, no network but loopback, and only the folders writable that
the file declares.
"""

from pathlib import Path

from tests.deployment.compose import environment, services


def writable(service: str) -> list[str]:
    """The folders that a container may write to."""
    one = services()[service]
    mounts = [mount.split(":")[0] for mount in one["tmpfs"]]
    volumes = [volume.split(":") for volume in one["volumes"]]
    return mounts + [target for _, target, *mode in volumes if mode != ["ro"]]


def confined(folder: Path, image: str, service: str, root: Path = Path("/")) -> list[str]:
    """The command that confines another.

    Args:
        folder: holds its volumes, one folder each, made where they are missing.
        image: a stage of the Dockerfile.
        service: of docker-compose.yml.
        root: what is its root file system.
    """
    one = services()[service]
    home = environment(image, service)["HOME"]
    users = folder / "passwd"
    users.write_text(f"{image}:x:10001:10001::{home}:/bin/sh\n")
    command = ["bwrap", "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc"]
    command += ["--ro-bind", str(users), "/etc/passwd"]
    # What lies above a declared folder need not be there on this machine's own root.
    above = sorted({str(Path(path).parent) for path in writable(service)} - {"/"})
    above = [path for path in above if path not in writable(service)]
    for path in above if root == Path("/") else ():
        command += ["--tmpfs", path]
    for mount in one["tmpfs"]:
        command += ["--tmpfs", mount.split(":")[0]]
    for volume in one["volumes"]:
        name, target, *mode = volume.split(":")
        if mode != ["ro"]:
            (folder / name).mkdir(exist_ok=True)
            command += ["--bind", str(folder / name), target]
    for path in above if root == Path("/") else ():
        command += ["--remount-ro", path]
    command += ["--unshare-all", "--die-with-parent", "--uid", "10001", "--gid", "10001"]
    for name, value in environment(image, service).items():
        if root != Path("/") or name != "PATH":
            command += ["--setenv", name, str(value)]
    return command
