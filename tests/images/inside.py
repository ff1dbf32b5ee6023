"""What is done inside the built image, by the image's own Python; prints what it saw as JSON."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

NOTE = "The mill at Arnsdorf closed in 1931, when the river was led into a new bed.\n"
QUESTION = "When did the mill at Arnsdorf close?"


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def serve(command: list[str], health: list[str]) -> tuple[subprocess.Popen[bytes], float]:
    """The running application, and the seconds until its health check passed."""
    begun = time.monotonic()
    process = subprocess.Popen(command)
    while not ready():
        if process.poll() is not None or time.monotonic() - begun > 240:
            sys.exit("the application does not become ready")
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    run(*health)
    return process, seconds


def ready() -> bool:
    try:
        return bool(urlopen("http://127.0.0.1:7860/readyz", timeout=10).status == 200)
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(40)


def ask() -> str:
    return str(json.loads(run("rag-app", "ask", QUESTION, "-c", "notes", "--json"))["answer"])


def refuses(path: str) -> bool:
    try:
        Path(path, "probe").write_text("x")
    except OSError:
        return True
    return False


def reaches_out() -> bool:
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=2).close()
    except OSError:
        return False
    return True


def main(command: list[str], health: list[str]) -> None:
    seen: dict[str, object] = {"user": os.getuid(), "reaches_out": reaches_out()}
    seen["read_only"] = [path for path in ("/", "/opt", "/etc", "/models", "/usr") if refuses(path)]
    Path("/tmp/mill.txt").write_text(NOTE)
    process, seen["seconds"] = serve(command, health)
    run("rag-app", "ingest", "/tmp/mill.txt", "-c", "notes")
    seen["answer"] = ask()
    run("rag-app", "backup", "/tmp/backup.tar")
    seen["stopped"] = stop(process)
    process, seen["seconds_again"] = serve(command, health)
    seen["answer_again"] = ask()
    run("rag-app", "collections", "delete", "notes")
    seen["listed"] = json.loads(run("rag-app", "collections", "list", "--json"))
    run("rag-app", "restore", "/tmp/backup.tar")
    seen["answer_restored"] = ask()
    seen["stopped_again"] = stop(process)
    sys.stdout.write(f"{json.dumps(seen)}\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
