"""An A1111 on loopback, or a fork, that draws small pictures: each question how far it is is one step.

Sources: AUTOMATIC1111/stable-diffusion-webui modules/api/api.py, progress.py and shared_state.py; the same of
lllyasviel/stable-diffusion-webui-forge; vladmandic/sdnext modules/api and modules/progress.py.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from PIL import Image, PngImagePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE: Final = 10.0
_CHECKPOINT: Final = "sd_model_checkpoint"


class Raw(NamedTuple):
    """An answer as it is sent."""

    status: int
    body: bytes
    kind: str = "application/json"
    location: str | None = None


@dataclass
class Job:
    """What is being drawn, and how far it is."""

    task: str
    name: str
    steps: int
    step: int = 0
    stopped: bool = False


@dataclass
class FakeA1111:
    """The running program: its models, its settings, what it was asked and what it is to answer instead.

    `fork` is a1111, forge or sdnext; `told` is called after each step with the job.
    """

    url: str
    fork: str = "a1111"
    loras: list[dict[str, Any]] = field(default_factory=list)
    hidden: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    auth: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    drawn: list[dict[str, Any]] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    instead: dict[str, Raw] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)
    told: Callable[[Job], object] = lambda _job: None
    job: Job | None = None
    was_stopped: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)
    turn: threading.Lock = field(default_factory=threading.Lock)
    queued: list[str] = field(default_factory=list)

    def lora(self, path: str, *, hidden: bool = False, **metadata: str) -> None:
        """Give it a lora; a hidden one is only found when it looks again."""
        name = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        entry = {"name": name, "alias": name, "path": path, "metadata": metadata}
        (self.hidden if hidden else self.loras).append(entry)

    def model(self, title: str, sha256: str | None = None) -> None:
        """Give it a base model."""
        name = title.partition(" [")[0]
        self.models.append(
            {
                "title": title,
                "model_name": name.rpartition(".")[0],
                "hash": sha256 and sha256[:10],
                "sha256": sha256,
                "filename": f"/webui/models/Stable-diffusion/{name}",
                "config": None,
            }
        )

    def count(self, path: str) -> int:
        """Return how often it was asked for a path."""
        return sum(asked == path for _, asked in self.asked)

    def stop(self) -> None:
        """Stop what is being drawn, as its button does; before the first step that is forgotten."""
        with self.changed:
            if self.job is not None:
                self.interrupted.append(self.job.task)
                self.job.stopped = self.job.step > 0
                self.changed.notify_all()

    def answer(self, method: str, path: str, body: Any, authorization: str | None) -> Raw:
        """Return the answer to a request."""
        self.asked.append((method, path))
        if path in self.instead:
            return self.instead[path]
        if self.auth is not None and path.startswith("/sdapi"):
            expected = f"Basic {base64.b64encode(self.auth.encode()).decode()}"
            if authorization != expected:
                return _json({"detail": "Incorrect username or password"}, 401)
        routes: dict[tuple[str, str], Callable[[], object]] = {
            ("GET", "/sdapi/v1/loras"): lambda: self.loras,
            ("POST", "/sdapi/v1/refresh-loras"): self._refresh,
            ("GET", "/sdapi/v1/sd-models"): lambda: self.models,
            ("POST", "/sdapi/v1/refresh-checkpoints"): lambda: None,
            ("GET", "/sdapi/v1/options"): lambda: self.options,
            ("POST", "/sdapi/v1/options"): lambda: self.options.update(body),
            ("GET", "/sdapi/v1/progress"): self._progress,
            ("POST", "/internal/progress"): lambda: self._internal(body),
            ("POST", "/sdapi/v1/interrupt"): self.stop,
            ("POST", "/sdapi/v1/txt2img"): lambda: self._draw(body),
            ("POST", "/sdapi/v1/img2img"): lambda: self._draw(body),
        }
        if (method, path) not in routes:
            return _json({"detail": "Not Found"}, 404)
        found = routes[method, path]()
        return found if isinstance(found, Raw) else _json(found)

    def _refresh(self) -> None:
        self.loras += self.hidden
        self.hidden = []

    def _progress(self) -> dict[str, Any]:
        job = self.job
        state = {
            "skipped": False,
            "interrupted": job.stopped if job is not None else self.was_stopped,
            "job": "" if job is None else job.name,
            "job_count": 0 if job is None else 1,
            "job_timestamp": "20260101000000",
            "job_no": 0,
            "sampling_step": 0 if job is None else job.step,
            "sampling_steps": 0 if job is None else job.steps,
        }
        done = 0.0 if job is None else job.step / job.steps
        return {"progress": done, "eta_relative": 0.0, "state": state, "current_image": None}

    def _internal(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            job, named = self.job, self.fork != "sdnext"
            active = named and job is not None and job.task == body["id_task"]
            if job is not None and job.task != "task(user)":
                job.step += 1
                self.changed.notify_all()
            queued = named and body["id_task"] in self.queued
        if job is not None:
            self.told(job)
        return {"active": active, "queued": queued, "paused": False, "completed": False, "progress": 0.5}

    def _draw(self, body: dict[str, Any]) -> Raw:
        task = body.get("force_task_id", "")
        self.queued.append(task)
        with self.turn:
            self.queued.remove(task)
            self.drawn.append(body)
            if self.failing:
                said = self.failing.pop(0)
                return _json({"error": "RuntimeError", "detail": "", "body": "", "errors": said}, 500)
            before = self.options.get(_CHECKPOINT)
            self.options |= body["override_settings"]
            with self.changed:
                self.job = job = Job(task, "scripts_txt2img", body["steps"])
                ended = self.changed.wait_for(lambda: job.stopped or job.step >= job.steps, _PATIENCE)
                self.job, self.was_stopped = None, job.stopped
            png = _picture(body, self.options.get(_CHECKPOINT, ""), whole=not job.stopped)
            if self.fork != "forge":
                self.options[_CHECKPOINT] = before
        assert ended
        answer = {"images": [base64.b64encode(png).decode()], "parameters": {}, "info": "{}"}
        return _json(answer)


def _picture(body: dict[str, Any], model: str, *, whole: bool) -> bytes:
    """Return a picture that depends on all that it is made of, and says so as A1111 does."""
    cut = sorted(name for name in body if name != "force_task_id")
    made = json.dumps([model, whole, *([name, body[name]] for name in cut)]).encode()
    told = PngImagePlugin.PngInfo()
    size = (body["width"], body["height"])
    text = f"{body['prompt']}\nNegative prompt: {body['negative_prompt']}\n"
    text += f"Steps: {body['steps']}, Sampler: {body['sampler_name']}, CFG scale: {body['cfg_scale']}, "
    told.add_text("parameters", f"{text}Seed: {body['seed']}, Size: {size[0]}x{size[1]}, Model: {model}")
    buffer = io.BytesIO()
    colour = tuple(hashlib.sha256(made).digest()[:3])
    Image.new("RGB", size, colour).save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def _json(told: object, status: int = 200) -> Raw:
    return Raw(status, json.dumps(told).encode())


@contextmanager
def a1111_server(fork: str = "a1111") -> Iterator[FakeA1111]:
    """Run a fake A1111 on a free port of loopback for the length of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        fake = FakeA1111(f"http://127.0.0.1:{server.server_address[1]}", fork)
        server.fake = fake  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join(20)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(content) if content else None
        fake: FakeA1111 = self.server.fake  # type: ignore[attr-defined]
        raw = fake.answer(method, urlsplit(self.path).path, body, self.headers.get("authorization"))
        self.send_response(raw.status)
        self.send_header("content-type", raw.kind)
        if raw.location is not None:
            self.send_header("location", raw.location)
        self.send_header("content-length", str(len(raw.body)))
        self.end_headers()
        self.wfile.write(raw.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        pass
