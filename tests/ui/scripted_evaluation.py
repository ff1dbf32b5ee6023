"""Stands in for `rag-app eval` and `adapt`: a few samples that end as the data set's name says.

A program of its own, since a run is a child process; it writes what a run's folder has to hold.
"""

import json
import os
import sys
import time
from pathlib import Path

SAMPLES, PAUSE = 10, 0.02


def write(path: Path, data: object) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(data))
    scratch.replace(path)


def main(arguments: list[str]) -> None:
    if "compare" in arguments:
        Path(arguments[arguments.index("--out") + 1]).write_text("<!doctype html>")
        return
    if "gate" in arguments:
        sys.stdout.write("worse  rag, accuracy\nfailed: the new run is worse\n")
        sys.exit(1)
    if "resume" in arguments:
        folder = Path(arguments[-1])
        dataset = json.loads((folder / "run.json").read_text())["dataset"]["name"]
    else:
        folder = Path(arguments[arguments.index("--out") + 1])
        adapts = "adapt" in arguments
        dataset = arguments[arguments.index("--collection") + 1] if adapts else arguments[-1]
    if dataset == "missing" and not (folder.parent / "found").exists():
        sys.stderr.write("reading\nrag-app: data set missing is not there. Get it\n")
        sys.exit(1)
    kind = next((name for name in ("retrieval", "adapt") if name in arguments), "choice")
    if kind != "adapt" and not (folder / "run.json").exists():
        write(folder / "run.json", {"kind": kind, "plan": {}, "dataset": {"name": dataset}})
    run(folder, dataset)


def run(folder: Path, dataset: str) -> None:
    samples = folder / "samples.jsonl"
    with samples.open("a") as log:
        done = len(samples.read_text().splitlines())
        while done < SAMPLES:
            log.write(f"{os.getpid()}\n")
            log.flush()
            done += 1
            state = {"state": "running", "done": done, "total": SAMPLES, "eta": 3.0, "seconds": 1.0}
            write(folder / "progress.json", {**state, "accuracy": {"rag": 0.5}, "message": ""})
            time.sleep(60 if dataset == "slow" and done == 2 else PAUSE)
    finish(folder, dataset)


def finish(folder: Path, dataset: str) -> None:
    last = {"state": "done", "done": SAMPLES, "total": SAMPLES, "eta": 0, "seconds": 2.0}
    if dataset == "wrong":
        write(folder / "progress.json", {**last, "state": "failed", "message": "too many errors"})
        sys.exit(1)
    arms = {"closed_book": {"accuracy": 0.5, "n": 10}, "rag": {"accuracy": 0.7, "n": 10}}
    systems = {"bm25": {"ndcg@10": 0.31}, "hybrid": {"ndcg@10": 0.42}}
    noted = folder / "run.json"
    choice = noted.exists() and json.loads(noted.read_text())["kind"] == "choice"
    write(folder / "metrics.json", {"arms": arms} if choice else {"systems": systems})
    write(folder / "verdict.json", {"sentence": "Retrieval gains"})
    text = "<h1 style='color:teal'>Scripted report</h1><script>document.body.id = 'ran'</script>"
    (folder / "report.html").write_text(f"<!doctype html><title>Report</title>{text}")
    write(folder / "progress.json", {**last, "message": ""})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
