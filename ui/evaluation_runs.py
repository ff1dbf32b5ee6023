"""Evaluations as child processes: started, watched, stopped and taken up again.

A run is the command `rag-app eval` in a folder of its own. The child writes `progress.json`,
`metrics.json` and `report.html` there, which is all that is known of it here; it reaches the
application that started it through the storage folder, as any other command does.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

from data.files import write_text
from data.secrets import secret_values
from data.text import well_formed
from rag_app.accounts.rights import CURRENT
from rag_app.errors import ApplicationError
from rag_app.settings import PREFIX, Settings, describe

Kind = Literal["retrieval", "choice", "answers", "score", "compare", "gate", "adapt"]
State = Literal["running", "done", "failed", "interrupted"]
Option = str | float | bool | Sequence[str] | None

REPORT: Final = "report.html"
_VERDICT: Final = "verdict.json"
_COMMAND: Final = (sys.executable, "-P", "-c", "from rag_app.cli import main; main()")
_LAUNCH, _SETTINGS, _LOG = "launch.json", "launch.toml", "log.txt"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_DONE: Final = {0, 3}
"""Exit statuses of commands that came to their end; 3 is with some items failed."""
_STOPPED: Final = {130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL}
_FRESH: Final = 15.0
"""Seconds after which a `progress.json` that says `running` is that of a killed process; a living
one writes it every second."""
_PATIENCE: Final = 5.0
"""Seconds that a run gets to end by itself."""
_OF_TWO: Final = {"compare", "gate"}
"""Commands over two finished runs, which leave no metrics."""
_MEASURES: Final = (("arms", "accuracy"), ("systems", "ndcg@10"))
_GATE: Final = "failed: the new run is worse"
"""What `eval gate` says last where it fails, with exit status 1."""
_LONGEST_MESSAGE: Final = 500
_LONGEST: Final = 4096
"""Characters of an argument: a path may have as many, and Linux takes some more."""
_LOG_TAIL: Final = 8192


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """A run as lists show it.

    Attributes:
        name: of its folder.
        kind: the command behind `eval`, or ``adapt``; empty where its files do not tell.
        dataset: what it measures on; the collection that is adapted to.
        state: ``interrupted`` and ``failed`` runs can be resumed.
        begun: when it was last started or taken up, in seconds since 1970.
        progress: the content of `progress.json`; empty where there is none yet.
        measure: what `headline` holds: ``accuracy`` or ``ndcg@10``.
        headline: by arm or system; empty before the run is done.
        verdict: what it came to, in a sentence; empty before the run is done.
        message: why it failed, for the person.
        has_report: whether there is a report to show.
    """

    name: str
    kind: str
    dataset: str
    state: State
    begun: float
    progress: Mapping[str, Any] = field(default_factory=dict)
    measure: str = ""
    headline: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    message: str = ""
    has_report: bool = False


class EvaluationRuns:
    """The runs of a folder, at most one of which is under way. Calls may come from any thread.

    Args:
        folder: each folder in it that holds a run is one.
        settings: what children run with.
        command: what `eval ...` is added to.
    """

    def __init__(self, folder: Path, settings: Settings, command: Sequence[str] = _COMMAND) -> None:
        self._folder, self._settings, self._command = folder.absolute(), settings, command
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._running = ""

    def overview(self) -> list[EvaluationRun]:
        """All runs, the latest first."""
        with self._lock:
            self._reap()
            found = [self._describe(path) for path in self._paths()]
        return sorted(found, key=lambda run: (-run.begun, run.name))

    @property
    def running(self) -> str:
        """The name of the run that is under way here; empty where none is."""
        with self._lock:
            self._reap()
            return self._running

    def use(self, settings: Settings) -> None:
        """Let runs that are started from now on go by other settings."""
        self._settings = settings

    def start(self, kind: Kind, dataset: str, options: Mapping[str, Option] | None = None) -> str:
        """Begin a run; returns its name.

        Args:
            kind: the command behind `eval`, or `adapt`.
            dataset: what it is given, such as ``own`` or ``beir:FOLDER``; for `adapt`, the
                collection.
            options: its flags without their dashes; lists are joined by commas, and what is empty
                or None is left away. Of ``compare`` and ``gate``, `first` and `second` are runs.

        Raises:
            ApplicationError: another run is under way, no data set is named, a run to compare is
                not there, a value is nothing that a command can be given, or the folder cannot be
                written.
        """
        if not dataset.strip():
            raise ApplicationError("no data set is named", hint="Name one, or its folder")
        with self._lock:
            self._require_idle()
            name, given = self._new_name(kind, dataset), dict(options or {})
            command, out = ["eval", kind], ["--out", str(self._folder / name)]
            target = [*out, "--", dataset.strip()]
            if kind == "adapt":
                command, target = ["adapt"], ["--collection", dataset.strip(), *out]
            elif kind in _OF_TWO:
                pair = [str(self._path(str(given.pop(key)))) for key in ("first", "second")]
                out = ["--out", str(self._folder / name / REPORT)] if kind == "compare" else []
                target = [*out, "--", *pair]
            flags = [part for key, value in given.items() for part in _flag(key, value)]
            _require_plain([*flags, *target])
            person = CURRENT.get()
            launch = {
                "owner": person.id if person.name else "",
                "kind": kind,
                "dataset": dataset.strip(),
                "arguments": [*command, *flags, *target],
            }
            self._launch(name, launch, launch["arguments"])
            return name

    def resume(self, name: str) -> None:
        """Take up a run where it ended.

        Raises:
            ApplicationError: there is no such run, it is done, or one is under way.
        """
        with self._lock:
            path = self._path(name)
            self._require_idle()
            if self._describe(path).state in {"running", "done"}:
                raise ApplicationError(f"there is nothing left to do for run {name}")
            launch = _read(path / _LAUNCH)
            begun = (path / "run.json").exists()
            arguments = ["eval", "resume", str(path)] if begun else launch.get("arguments")
            if not arguments:
                raise ApplicationError(f"run {name} cannot be resumed: it never began")
            self._launch(name, launch, arguments)

    def collection(self, name: str) -> str:
        """The collection that a run asks; empty where it names none."""
        arguments = _read(self._path(name) / _LAUNCH).get("arguments") or [""]
        return str(dict(pairwise(arguments)).get("--collection", ""))

    def stop(self, name: str) -> None:
        """End a run that is under way here, if it is; it can be resumed. Waits until it is gone."""
        with self._lock:
            if self._child is None or self._running != name or not _may_see(self._folder / name):
                return
            self._child.send_signal(signal.SIGINT)
            try:
                self._child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._child.kill()  # its samples are on disk
                self._child.wait()
            self._reap()

    def remove(self, name: str) -> None:
        """Delete a run with all its files.

        Raises:
            ApplicationError: there is no such run, it is under way, or it cannot be deleted.
        """
        with self._lock:
            path = self._path(name)
            if self._describe(path).state == "running":
                raise ApplicationError(f"run {name} is under way", hint="Stop it first")
            try:
                shutil.rmtree(path)
            except OSError as error:
                raise ApplicationError(
                    f"run {name} cannot be deleted", cause=(error.strerror or str(error)).lower()
                ) from None

    def close(self) -> None:
        """Tell the run that is under way to end, and wait for nothing, not even the lock."""
        child = self._child
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGINT)

    def report(self, name: str) -> Path | None:
        """The report of a run; None where there is none, whatever the name."""
        path = self._folder / name / REPORT
        if not _NAME.fullmatch(name) or not _may_see(path.parent):
            return None
        return path if path.is_file() and not path.is_symlink() else None

    # --- children ----------------------------------------------------------------------------

    def _require_idle(self) -> None:
        self._reap()
        if self._running:
            seen = _may_see(self._folder / self._running)
            raise ApplicationError(
                f"run {self._running} is under way" if seen else "another user's run is under way",
                hint="Wait until it is done, or stop it" if seen else "Wait until it is done",
            )

    def _launch(self, name: str, launch: Mapping[str, Any], arguments: Sequence[str]) -> None:
        path = self._folder / name
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_text(path / _SETTINGS, _toml(self._settings))
            begun = {**launch, "begun": time.time(), "status": None}
            write_text(path / _LAUNCH, json.dumps(begun))
            (path / "progress.json").unlink(missing_ok=True)
            with (path / _LOG).open("ab") as log:
                self._child = subprocess.Popen(
                    [*self._command, "--config", str(path / _SETTINGS), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=os.environ | _secrets(self._settings),
                    start_new_session=True,  # ctrl-C in our terminal is for us to pass on
                )
        except OSError as error:
            raise ApplicationError(
                f"run {name} cannot be started in {self._folder}",
                cause=(error.strerror or str(error)).lower(),
            ) from None
        self._running = name

    def _reap(self) -> None:
        """Note how the child ended, if it has."""
        if self._child is None or self._child.poll() is None:
            return
        path = self._folder / self._running
        if path.is_dir():
            ended = {**_read(path / _LAUNCH), "status": self._child.returncode}
            write_text(path / _LAUNCH, json.dumps(ended))
        self._child, self._running = None, ""

    # --- folders -----------------------------------------------------------------------------

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        marks = (_LAUNCH, "run.json")
        return [
            path
            for path in self._folder.iterdir()
            if _NAME.fullmatch(path.name)
            and any((path / mark).is_file() for mark in marks)
            and _may_see(path)
        ]

    def _path(self, name: str) -> Path:
        found = {path.name: path for path in self._paths()}
        if name not in found:
            raise ApplicationError(f"there is no run {name!r}")
        return found[name]

    def _new_name(self, kind: Kind, dataset: str) -> str:
        words = re.findall(r"[A-Za-z0-9]+", Path(dataset.strip().rstrip("/\\")).name.lower())
        stem = f"{kind}-{'-'.join(words)[:40] or 'data'}-{time.strftime('%Y%m%d-%H%M%S')}"
        used = {path.name for path in self._folder.glob(f"{stem}*")}
        names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(used) + 2))
        return next(name for name in names if name not in used)

    def _describe(self, path: Path) -> EvaluationRun:
        launch, run, metrics = (
            _read(path / name) for name in (_LAUNCH, "run.json", "metrics.json")
        )
        progress = _read(path / "progress.json")
        dataset = run.get("dataset")
        name = dataset.get("name") if isinstance(dataset, dict) else None
        state = self._state(path, launch, progress)
        measure, headline = _headline(metrics) if state == "done" else ("", {})
        return EvaluationRun(
            name=path.name,
            kind=str(run.get("kind") or launch.get("kind") or ""),
            dataset=str(name or launch.get("dataset") or ""),
            state=state,
            begun=float(launch.get("begun") or path.stat().st_mtime),
            progress=progress,
            measure=measure,
            headline=headline,
            verdict=_verdict(path, launch) if state == "done" else "",
            message=_reason(path, progress) if state == "failed" else "",
            has_report=self.report(path.name) is not None,
        )

    def _state(self, path: Path, launch: Mapping[str, Any], progress: Mapping[str, Any]) -> State:
        if path.name == self._running:
            return "running"
        if launch.get("kind") in _OF_TWO:
            worse = launch["kind"] == "gate" and _last_line(path).startswith(_GATE)
            return "done" if launch.get("status") == 0 or worse else "failed"
        status, state = launch.get("status"), progress.get("state")
        noted, written = _modified(path / _LAUNCH), _modified(path / "progress.json")
        if status is None or noted < written:  # another process works or has worked on it
            if state == "running" and time.time() - written < _FRESH:
                return "running"
            status = None
        if status in _STOPPED or (state == "failed" and progress.get("message") == "interrupted"):
            return "interrupted"
        if state == "failed" or (status is not None and status not in _DONE):
            return "failed"
        whole = state == "done" and (path / "metrics.json").is_file()
        return "done" if whole else "interrupted"


def _may_see(path: Path) -> bool:
    """Whether the person who asks may see a run: users their own, admins those of nobody, too."""
    person, owner = CURRENT.get(), _read(path / _LAUNCH).get("owner", "")
    return not person.name or owner == person.id or (not owner and person.role == "admin")


def _flag(key: str, value: Option) -> list[str]:
    if isinstance(value, list | tuple):
        value = ",".join(value)
    name = key.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [] if value in {None, ""} else [f"--{name}", str(value)]


def _require_plain(arguments: Sequence[str]) -> None:
    """Refuse what no process can be started with: it came from a page."""
    for one in arguments:
        if "\0" in one or one != well_formed(one) or len(one) > _LONGEST:
            raise ApplicationError(
                f"a run cannot be given {one[:40]!r}",
                cause=f"it is longer than {_LONGEST} characters, or has some that are none",
                hint="Type it again",
            )


def _headline(metrics: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    for group, measure in _MEASURES:
        if isinstance(found := metrics.get(group), dict):
            values = {
                name: row.get(measure) for name, row in found.items() if isinstance(row, dict)
            }
            numbers = {n: float(v) for n, v in values.items() if isinstance(v, int | float)}
            return (measure, numbers) if numbers else ("", {})
    return "", {}


def _verdict(path: Path, launch: Mapping[str, Any]) -> str:
    """What a run came to, as its report says; of a gate, what the command said."""
    if launch.get("kind") == "gate":
        return _last_line(path)
    return str(_read(path / _VERDICT).get("sentence") or "")


def _last_line(path: Path) -> str:
    return next(iter(reversed(_output_lines(path))), "")


def _reason(path: Path, progress: Mapping[str, Any]) -> str:
    """Why a run failed: what the command said last, or else what it noted."""
    lines = _output_lines(path)
    messages = [line.removeprefix("rag-app: ") for line in lines if line.startswith("rag-app: ")]
    others = [str(progress.get("message") or ""), *lines[-1:]]
    reason = next(
        (text for text in [*messages[-1:], *others] if text), "it ended without saying why"
    )
    return reason[:_LONGEST_MESSAGE]


def _output_lines(path: Path) -> list[str]:
    """The last lines that the command wrote."""
    try:
        with (path / _LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _modified(path: Path) -> float:
    """When a file was last written; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _toml(settings: Settings) -> str:
    """All settings without secrets, with paths that mean the same in any folder."""
    tree = settings.model_dump(mode="json")
    tree["storage"]["path"] = str(settings.storage.path.absolute())
    return describe(Settings, tree) + "\n"


def _secrets(settings: Settings) -> dict[str, str]:
    """Secrets as variables, since a file would keep them; but not the password, which is ours."""
    return {
        PREFIX + "__".join(path).upper(): secret
        for path, secret in secret_values(settings)
        if path[0] != "server"
    }


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
