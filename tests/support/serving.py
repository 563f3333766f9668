"""The web application over a test catalog: asked in this process, or served on a real port."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from registry.api.application import create_app
from registry.api.context import Context, context_of
from registry.api.feed import Feed
from registry.api.server import Server
from registry.api.viewers import viewer_of
from registry.catalog.fingerprints import fingerprint_of
from registry.catalog.roots import add_root, change_root, mount_root, remove_root
from registry.catalog.tokens import create_token
from registry.civitai.planning import Plan
from registry.config import Settings
from registry.drawings import Left
from registry.drawings import Plan as RenderPlan
from registry.errors import Conflict, NotFound
from registry.exported import WRITTEN, Exported, ExportTally, ExportWish
from registry.pictures.store import PictureStore
from registry.pictures.studio import Studio
from registry.search.alike import Alike
from registry.search.catchup import Follower
from registry.search.index import Place
from registry.search.likeness import Likeness
from registry.search.relatives import relatives_of
from registry.search.service import Searching
from registry.search.translations import load
from registry.web import pages
from tests.support.catalogs import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from registry.drawings import Asking
    from registry.measured import Measured
    from tests.support.catalogs import Builder

LOCAL = ("127.0.0.1", 50000)
REMOTE = ("192.0.2.7", 50000)


@dataclass
class Actions:
    """What the program around the API would do, written down instead."""

    builder: Builder
    asked: list[tuple[object, ...]] = field(default_factory=list)
    busy: bool = False
    going_on: dict[str, object] = field(default_factory=dict)

    def scan(self, roots: Sequence[int] | None, actor: str | None) -> list[int]:
        if self.busy:
            raise Conflict("scan 1 is running already", remedy="wait for it")
        self.asked.append(("scan", roots, actor))
        return [7]

    def add_root(self, path: str, options: Mapping[str, object], actor: str | None) -> tuple[int, bool]:
        self.asked.append(("add", path, dict(options), actor))
        with self.builder.catalog.write(actor=actor) as unit:
            return add_root(unit, MACHINE, path, **options)

    def change_root(self, root_id: int, options: Mapping[str, object], actor: str | None) -> None:
        with self.builder.catalog.write(actor=actor) as unit:
            change_root(unit, root_id, **options)

    def remove_root(self, root_id: int, actor: str | None) -> None:
        with self.builder.catalog.write(actor=actor) as unit:
            remove_root(unit, root_id)

    def relocate_root(self, root_id: int, path: str, actor: str | None) -> None:
        with self.builder.catalog.write(actor=actor) as unit:
            mount_root(unit, root_id, MACHINE, path)

    def rescan_and_wait(self, actor: str | None) -> None:
        self.asked.append(("rescan", actor))
        self.builder.write()

    def pause_hashing(self, paused: bool, actor: str | None) -> None:  # noqa: FBT001 - as the context has it
        self.asked.append(("pause" if paused else "go on", actor))

    def sync(self, query: str, everything: bool, actor: str | None) -> int:  # noqa: FBT001 - as above
        if self.busy:
            raise Conflict("the sync is running already", remedy="wait for it")
        self.asked.append(("sync", query, everything, actor))
        return 9

    def sync_version(self, version: int, actor: str | None) -> int:
        if self.busy:
            raise Conflict("the sync is running already", remedy="wait for it")
        self.asked.append(("sync version", version, actor))
        return 10

    def export(self, wish: ExportWish, actor: str | None) -> int:
        if self.busy:
            raise Conflict("the export of sidecars is running already", remedy="wait for it")
        self.asked.append(("export", wish, actor))
        return 11

    def plan_export(self, wish: ExportWish) -> ExportTally:
        tally = ExportTally(dry_run=True, models=1, complete=True)
        tally.add(Exported(1, "/x.json", wish.tools[0], WRITTEN, ("notes",)))
        return tally

    def measure(self, query: str, anew: bool, actor: str | None) -> int:  # noqa: FBT001 - as above
        self.asked.append(("measure", query, anew, actor))
        return 12

    def plan_render(self, asking: Asking) -> RenderPlan:
        self.asked.append(("plan_render", asking))
        return RenderPlan(len(asking.loras), 1, 12.5, (Left(7, "odd", "no-base", "there is none"),), 3)

    def render(self, asking: Asking, actor: str | None) -> tuple[int, RenderPlan]:
        self.asked.append(("render", asking, actor))
        return 13, self.plan_render(asking)

    def fingerprint(self, lora_id: int) -> Measured:
        with self.builder.catalog.read() as conn:
            found = fingerprint_of(conn, lora_id)
        if found is None:
            raise NotFound("its weights were not measured")
        return found

    def progress(self) -> dict[str, object]:
        return {"scan": [], "hashing": {"files": 0}, **self.going_on}


class Sent(NamedTuple):
    """Headers and undecoded body of an answer."""

    headers: httpx.Headers
    content: bytes


class Service:
    """An application over a test catalog, asked without any network by `ask`."""

    def __init__(self, builder: Builder, folder: Path, clock: Callable[[], float], **settings: Any) -> None:
        self.builder = builder
        self.actions = Actions(builder)
        self.feed = Feed(builder.catalog, poll_seconds=0.05)
        self.index = Place(folder / "search")
        self.studio = Studio(PictureStore(folder / "pictures"))
        self.likeness = Likeness(builder.catalog, folder / "likeness")
        alike = Alike(builder.catalog, self.likeness, MACHINE)
        searching = Searching(builder.catalog, self.index, load(()), alike=alike)
        self.app = create_app(
            Context(
                catalog=builder.catalog,
                machine_id=MACHINE,
                settings=Settings(data_dir=folder, **settings),
                feed=self.feed,
                scan=self.actions.scan,
                add_root=self.actions.add_root,
                change_root=self.actions.change_root,
                remove_root=self.actions.remove_root,
                relocate_root=self.actions.relocate_root,
                rescan_and_wait=self.actions.rescan_and_wait,
                pause_hashing=self.actions.pause_hashing,
                searching=searching,
                progress=self.actions.progress,
                sync=self.actions.sync,
                plan_sync=lambda _query, _everything: Plan(2, {"never": 2}, 1, 3),
                sync_version=self.actions.sync_version,
                studio=self.studio,
                export=self.actions.export,
                plan_export=self.actions.plan_export,
                measure=self.actions.measure,
                fingerprint=self.actions.fingerprint,
                relatives=lambda lora_id, limit, least, _exact: relatives_of(
                    builder.catalog, self.likeness, lora_id, limit=limit, least=least
                ),
                find=lambda query: searching.all_ids(query, 1000),
                plan_render=self.actions.plan_render,
                render=self.actions.render,
            ),
            clock=clock,
        )
        sources = pages.Sources(
            builder.catalog, MACHINE, searching, self.actions.progress, viewer_of, context_of
        )
        self.app.routes.extend(pages.routes(sources))
        self._runner: asyncio.Runner | None = None

    def catch_up(self) -> int:
        """Bring the search index up to the catalog and return the generation that it is of."""
        follower = Follower(self.builder.catalog, self.index)
        try:
            return follower.catch_up().seq
        finally:
            follower.close()

    def token(self, name: str, role: str) -> str:
        """Make a token and return its secret."""
        with self.builder.catalog.write() as unit:
            return create_token(unit, name, role)

    def ask(
        self,
        method: str,
        path: str,
        *,
        peer: tuple[str, int] = LOCAL,
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> httpx.Response:
        """Send one request as if it came from `peer`; errors of the application come back as answers."""
        assert self._runner is not None
        return self._runner.run(self._ask(method, path, peer, dict(headers or {}), body))

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON that a local GET answers with."""
        answer = self.ask("GET", path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def raw(self, path: str, headers: Mapping[str, str]) -> Sent:
        """Send a local GET and return the answer with its body as it was sent."""
        assert self._runner is not None
        return self._runner.run(self._raw(path, dict(headers)))

    async def _raw(self, path: str, headers: dict[str, str]) -> Sent:
        transport = httpx.ASGITransport(self.app, client=LOCAL)
        url = "http://127.0.0.1:8567"
        async with (
            httpx.AsyncClient(transport=transport, base_url=url) as client,
            client.stream("GET", path, headers=headers) as answer,
        ):
            return Sent(answer.headers, b"".join([part async for part in answer.aiter_raw()]))

    async def _ask(
        self, method: str, path: str, peer: tuple[str, int], headers: dict[str, str], body: dict[str, Any]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=peer, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8567") as client:
            return await client.request(method, path, headers=headers, **body)

    @contextmanager
    def open(self) -> Iterator[Service]:
        """Run the application for as long as it is asked."""
        with asyncio.Runner() as runner:
            self._runner = runner
            lifespan = self.app.router.lifespan_context(self.app)
            runner.run(_entered(lifespan))
            try:
                yield self
            finally:
                runner.run(_left(lifespan))
                self._runner = None
                self.studio.close()

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve the application on a free port of this machine and give its URL."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            server = Server(self.app, self.feed, log_config=None, access_log=False, lifespan="on")
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                while not server.started:
                    assert thread.is_alive()
                    thread.join(0.01)
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join(20)
            assert not thread.is_alive()


async def _entered(lifespan: AbstractAsyncContextManager[object]) -> None:
    await lifespan.__aenter__()


async def _left(lifespan: AbstractAsyncContextManager[object]) -> None:
    await lifespan.__aexit__(None, None, None)
