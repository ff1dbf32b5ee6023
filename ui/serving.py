"""The web application as a process: one socket, one server, one clean end."""

import asyncio
import gc
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn

from data.limits import MIB
from rag_app.accounts.guarded import guard
from rag_app.accounts.keys import Keys
from rag_app.accounts.users import Users
from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.collections.leftovers import PROCESS, UPLOADS, sweep_old
from rag_app.collections.ownership import Ownership
from rag_app.errors import SettingsError
from rag_app.probes.connecting import ModelConnection
from rag_app.probes.readiness import readiness
from rag_app.settings import Server, Settings
from rag_app.telemetry.metrics import Metrics
from rag_app.web.access import Access, stored_secret
from rag_app.web.gate import LOG_IN, LOOPBACK
from rag_app.web.mcp.server import ToolsOverHttp, make_server
from rag_app.web.protocol import SteadyProtocol, raise_open_files
from rag_app.web.server import create_app, require_safe_host
from ui.evaluation_runs import EvaluationRuns
from ui.evaluation_sets import evaluation_sets
from ui.first_start import FirstStart
from ui.guard import BrowserGuard
from ui.log_in import log_in_routes
from ui.originals import originals
from ui.reports import reports
from ui.uploads import Uploads, upload_route

_GRACE: Final = 0.5
"""Seconds that open connections get when the server stops."""
_SWEEP: Final = 600.0
"""Seconds between looks for what is left over."""
_PAUSE: Final = 0.02
_LOGGER = logging.getLogger(__name__)
_DRAIN: Final = 20.0
"""Seconds that answers under way get after SIGTERM, from whoever has several processes: less than
compose's `stop_grace_period`. Ctrl-C, and a second signal, end them at once."""
_PATIENCE: Final = 1.5
"""Seconds after that, when the process ends, whatever still works."""


def serve(
    settings: Settings,
    read: Callable[[], Settings],
    *,
    samples: bool = False,
    browser: bool = False,
) -> None:
    """Serve until ctrl-C or SIGTERM, then end the process with status 0.

    Args:
        settings: the settings; `server` says where to listen.
        read: reads them anew; called on SIGHUP.
        samples: whether a first start ingests the documents that ship.
        browser: whether to open a browser once the page is there.

    Raises:
        SettingsError: the address is not safe, or not free.
        StorageInUse: another process owns the storage folder.
    """
    server = settings.server
    users = Users(settings.storage.path)
    require_safe_host(server, users.exist())
    application, ownership = assembly.open_application(settings)
    try:
        listener = bind(server)
        address = address_of(server.host, listener.getsockname()[1])
        access = _access(settings, users, ownership.announce(address) if ownership else "")
        start = FirstStart(application, samples)
        folder = settings.storage.path / UPLOADS
        if not ownership:  # other processes have theirs beside it
            folder /= f"{PROCESS}{secrets.token_hex(8)}"
        runs = EvaluationRuns(settings.storage.path / "evaluations", settings)
        with _emptied(folder), closing(runs):
            uploads = Uploads(folder, server.upload_mb * MIB)

            def use(changed: Settings) -> None:
                application.use(changed)
                runs.use(changed)

            connection = ModelConnection(settings, use)
            app = web_app(application, settings, access, start, runs, uploads, connection)
            _spare_what_stays()
            uvicorn_server = _Server(
                _config(app),
                ready=lambda: _ready(address, access.key, browser),
                answering=lambda: application.observer.answering > 0,
                leaving=runs.close,
                overdue=lambda: _give_up(folder, ownership),
            )
            reload = partial(_read_again, read, connection)
            _run(uvicorn_server, listener, start, _sweeping(settings.storage.path, uploads), reload)
    finally:
        if ownership:
            ownership.release()
    _leave()


def bind(server: Server) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        SettingsError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    # with its protocol's number, or asyncio leaves Nagle's algorithm on: 40 ms for each response
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((server.host, server.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {server.host} port {server.port}",
            cause=(error.strerror or str(error)).lower(),
            hint="Stop what uses it, or choose another with --port (0 takes a free one)",
        ) from None
    return listener


def address_of(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens on `host`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{name}]:{port}" if ":" in name and "[" not in name else f"http://{name}:{port}"


def web_app(
    service: Application,
    settings: Settings,
    access: Access,
    start: FirstStart,
    runs: EvaluationRuns,
    uploads: Uploads,
    connection: ModelConnection,
) -> Any:
    """API, probes and pages as one ASGI application."""
    ready = readiness(settings, service.verify, service.collections)
    guarded = guard(service, access.users)
    tools = ToolsOverHttp(lambda: make_server(guarded, settings))
    service.observer = metrics = Metrics()
    app = create_app(guarded, access, settings.server, ready, tools, metrics.registry)
    app.add_middleware(BrowserGuard)
    from ui.app import Page, mount

    app.include_router(reports(runs))
    app.include_router(originals(guarded.original))
    app.include_router(evaluation_sets(guarded, access))
    app.include_router(upload_route(uploads, access))
    app.include_router(log_in_routes(access))
    page = Page(guarded, settings, start, runs, uploads, access, connection)
    mount(app, page, settings, access)
    return app


def open_page(address: str) -> None:
    """Show the page in a browser, where this session has a screen."""
    screen = sys.platform in {"darwin", "win32"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if screen:
        webbrowser.open(address)


class _Server(uvicorn.Server):
    """Says when it is ready, takes a signal as a wish to stop, and sees that it is granted."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        answering: Callable[[], bool],
        leaving: Callable[[], None],
        overdue: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready, self._leaving, self._overdue = ready, leaving, overdue
        self._answering, self._drains = answering, False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._leaving()
        self._drains = sig == signal.SIGTERM and not self.should_exit
        self._end_in(_PATIENCE + (_DRAIN if self._drains else 0))
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, let answers under way end, then close what is open."""
        for server in self.servers:
            server.close()
        deadline = time.monotonic() + _DRAIN
        while self._drains and self._answering() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE)
        self._end_in(_PATIENCE)
        await super().shutdown(sockets)

    def _end_in(self, seconds: float) -> None:
        alarm = threading.Timer(seconds, self._overdue)
        alarm.daemon = True
        alarm.start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _config(app: Any) -> uvicorn.Config:
    SteadyProtocol.most = raise_open_files()
    config = uvicorn.Config(
        app,
        http=SteadyProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever sends them would choose the address that is slowed down
        ws="none",
    )
    config.timeout_graceful_shutdown = _GRACE  # type: ignore[assignment]  # any number of seconds
    return config


def _run(
    server: _Server,
    listener: socket.socket,
    start: FirstStart,
    sweeping: Coroutine[None, None, None],
    reload: Callable[[], None],
) -> None:
    """Serve on the socket, with the first start and the sweeping beside it."""

    async def both() -> None:
        # Windows has none; of a terminal, it says that its window was closed
        if hasattr(signal, "SIGHUP") and not sys.stderr.isatty():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        beside = [asyncio.create_task(start.run()), asyncio.create_task(sweeping)]
        try:
            await server.serve([listener])
        finally:
            for task in beside:
                task.cancel()

    # not asyncio.run: it would wait for worker threads
    asyncio.new_event_loop().run_until_complete(both())


def _access(settings: Settings, users: Users, token: str) -> Access:
    server = settings.server
    password = server.password.get_secret_value() if server.password else ""
    storage = settings.storage.path
    return Access(
        token, server.user, password, stored_secret(storage), keys=Keys(storage), users=users,
        must_log_in=server.host not in LOOPBACK,
    )  # fmt: skip


def _read_again(read: Callable[[], Settings], connection: ModelConnection) -> None:
    """Let questions go by the settings as they stand now; say what only a restart changes."""
    try:
        waiting = connection.reload(read())
    except SettingsError as error:
        sys.stderr.write(f"rag-app keeps its settings: {error}\n")
        return
    sys.stderr.write("rag-app has read its settings again\n")
    if waiting:
        sys.stderr.write(f"What changed under {', '.join(waiting)} needs a restart\n")


def _spare_what_stays() -> None:
    """Keep the collector of cycles away from a million objects that live as long as the process.

    Looking through them took a quarter of the time of 50 questions at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def _sweeping(storage: Path, uploads: Uploads) -> None:
    """Delete every now and then what has been left over for long."""
    while True:
        await asyncio.sleep(_SWEEP)
        for sweep in (partial(sweep_old, storage), uploads.sweep):
            try:
                await asyncio.to_thread(sweep)
            except OSError as error:  # it is tried again
                _LOGGER.warning("what is left over cannot be deleted: %s", error)


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """A folder of ours for what browsers send, empty at the start and gone at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(folder.resolve() / "gradio")
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(address: str, key: str, browser: bool) -> None:
    """Say where; with the key, which makes a browser of this user known, or where to log in."""
    whole = f"{address}{LOG_IN}?key={key}" if key else f"{address}{LOG_IN}"
    sys.stderr.write(f"rag-app is ready at {address}\n")
    message = f"Open {whole} in a browser" if key else f"Log in at {whole} with user and password"
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    if browser:
        asyncio.get_running_loop().run_in_executor(None, open_page, whole)


def _give_up(uploads: Path, ownership: Ownership | None) -> None:
    """End although something still works, as a power cut would, but leave nothing lying about."""
    if ownership:
        ownership.withdraw()
    shutil.rmtree(uploads, ignore_errors=True)
    _leave()


def _leave() -> None:
    """End the process without waiting for threads: an ingestion resumes, nothing else is lost."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
