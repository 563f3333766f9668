"""A ComfyUI on loopback that checks and carries out small workflows: each look at a history is one step.

Sources: Comfy-Org/ComfyUI server.py (routes), execution.py (validate_prompt, PromptQueue, status messages),
nodes.py (inputs and outputs of nodes) and folder_paths.py (annotated_filepath).
"""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import io
import json
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from PIL import Image, PngImagePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SAMPLERS: Final = [
    "euler",
    "euler_ancestral",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_sde",
    "ddim",
    "uni_pc",
    "lcm",
]
_SCHEDULERS: Final = ["normal", "karras", "simple", "sgm_uniform", "ddim_uniform"]
# Inputs, each a type, a list of choices by its name, or the kind of a link; and what is put out.
_NODES: Final[Mapping[str, tuple[dict[str, str], tuple[str, ...]]]] = {
    "CheckpointLoaderSimple": ({"ckpt_name": "@checkpoints"}, ("MODEL", "CLIP", "VAE")),
    "UNETLoader": ({"unet_name": "@unets"}, ("MODEL",)),
    "LoraLoader": (
        {
            "model": "MODEL",
            "clip": "CLIP",
            "lora_name": "@loras",
            "strength_model": "float",
            "strength_clip": "float",
        },
        ("MODEL", "CLIP"),
    ),
    "LoraLoaderModelOnly": (
        {"model": "MODEL", "lora_name": "@loras", "strength_model": "float"},
        ("MODEL",),
    ),
    "CLIPTextEncode": ({"clip": "CLIP", "text": "str"}, ("CONDITIONING",)),
    "FluxGuidance": ({"conditioning": "CONDITIONING", "guidance": "float"}, ("CONDITIONING",)),
    "EmptyLatentImage": ({"width": "int", "height": "int", "batch_size": "int"}, ("LATENT",)),
    "EmptySD3LatentImage": ({"width": "int", "height": "int", "batch_size": "int"}, ("LATENT",)),
    "LoadImage": ({"image": "file"}, ("IMAGE", "MASK")),
    "ImageScale": (
        {"image": "IMAGE", "upscale_method": "str", "width": "int", "height": "int", "crop": "str"},
        ("IMAGE",),
    ),
    "VAEEncode": ({"pixels": "IMAGE", "vae": "VAE"}, ("LATENT",)),
    "KSampler": (
        {
            "model": "MODEL",
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "latent_image": "LATENT",
            "seed": "int",
            "steps": "int",
            "cfg": "float",
            "sampler_name": "@samplers",
            "scheduler": "@schedulers",
            "denoise": "float",
        },
        ("LATENT",),
    ),
    "VAEDecode": ({"samples": "LATENT", "vae": "VAE"}, ("IMAGE",)),
    "PreviewImage": ({"images": "IMAGE"}, ()),
    "SaveImage": ({"images": "IMAGE", "filename_prefix": "str"}, ()),
    "EveryLora": (
        {"model": "MODEL", "clip": "CLIP", "name": "@loras", "strength": "float"},
        ("MODEL", "CLIP"),
    ),
}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"int": (int,), "float": (int, float), "str": (str,)}


class Raw(NamedTuple):
    """An answer as it is sent."""

    status: int
    body: bytes
    kind: str = "application/json"


class Prompt(NamedTuple):
    """What is to be drawn: its number, its nodes, and who asked for it."""

    number: str
    nodes: dict[str, Any]
    client: str


@dataclass
class FakeComfyUI:
    """The running program; `newest` has lists of choices as newer versions have them.

    `told` is called after each step with how many were done, `files` are its folders by type and name.
    """

    url: str
    steps: int = 3
    newest: bool = True
    choices: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    instead: dict[str, Raw] = field(default_factory=dict)
    failing: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[Prompt] = field(default_factory=list)
    history: dict[str, Any] = field(default_factory=dict)
    running: Prompt | None = None
    step: int = 0
    stopped: bool = False
    told: Callable[[int], object] = lambda _step: None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def count(self, path: str) -> int:
        """Return how often it was asked for a path or what lies below it."""
        return sum(asked == path or asked.startswith(f"{path}/") for _, asked in self.asked)

    def node(self, place: int, class_type: str) -> dict[str, Any]:
        """Return what the only node of a class got in the prompt of a place."""
        (found,) = [each for each in self.prompts[place].values() if each["class_type"] == class_type]
        inputs: dict[str, Any] = found["inputs"]
        return inputs

    def users(self) -> Prompt:
        """Queue a prompt of the user's own."""
        prompt = Prompt(str(uuid.uuid4()), {}, "the user")
        self.waiting.append(prompt)
        return prompt

    def answer(self, method: str, address: str, content: bytes, kind: str) -> Raw:
        """Return the answer to a request."""
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        with self.lock:
            self.asked.append((method, path))
            if path in self.instead:
                return self.instead[path]
            first, _, rest = path.removeprefix("/").partition("/")
            asked = json.loads(content) if content and kind == "application/json" else {}
            routes: dict[tuple[str, str], Callable[[], object]] = {
                ("GET", "queue"): self._queue,
                ("POST", "queue"): lambda: self._delete(asked),
                ("POST", "prompt"): lambda: self._prompt(asked),
                ("POST", "interrupt"): lambda: self._interrupt(asked.get("prompt_id")),
                ("GET", "history"): lambda: self._history(rest),
                ("GET", "object_info"): lambda: self._info(rest),
                ("GET", "view"): lambda: self._view(query),
                ("GET", "view_metadata"): lambda: self._metadata(query["filename"][0]),
                ("POST", "upload"): lambda: self._upload(content, kind),
            }
            found = routes[method, first]()
            return found if isinstance(found, Raw) else Raw(200, json.dumps(found).encode())

    def _queue(self) -> object:
        def row(prompt: Prompt) -> list[object]:
            return [1, prompt.number, prompt.nodes, {"client_id": prompt.client}, ["9"]]

        running = [row(self.running)] if self.running else []
        return {"queue_running": running, "queue_pending": [row(each) for each in self.waiting]}

    def _delete(self, asked: dict[str, Any]) -> Raw:
        for number in asked["delete"]:
            self.deleted.append(number)
            self.waiting = [each for each in self.waiting if each.number != number]
        return Raw(200, b"", "text/plain")

    def _interrupt(self, number: str | None) -> Raw:
        # Older versions do not read a number.
        if self.running is not None and (not self.newest or number in (None, self.running.number)):
            self.interrupted.append(self.running.number)
            # What is said before the first step is forgotten when it begins.
            self.stopped = self.step > 0
        return Raw(200, b"", "text/plain")

    def _prompt(self, asked: dict[str, Any]) -> object:
        nodes = asked["prompt"]
        errors = {key: found for key, node in nodes.items() if (found := self._wrong(node, nodes))}
        if errors:
            told = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
            failed = {key: {"errors": found, "class_type": "X"} for key, found in errors.items()}
            return Raw(400, json.dumps({"error": told, "node_errors": failed}).encode())
        number = str(uuid.UUID(asked["prompt_id"])) if self.newest else f"old-{len(self.prompts)}"
        self.prompts.append(nodes)
        self.waiting.append(Prompt(number, nodes, asked["client_id"]))
        return {"prompt_id": number, "number": len(self.prompts), "node_errors": {}}

    def _wrong(self, node: dict[str, Any], nodes: dict[str, Any]) -> list[dict[str, str]]:
        """Return what is wrong with a node, as `validate_inputs` finds it."""
        inputs, _ = _NODES[node["class_type"]]
        found = []
        for name, kind in inputs.items():
            value = node["inputs"].get(name)
            if kind.startswith("@"):
                fits = value in self._choices(kind)
            elif kind == "file":
                fits = isinstance(value, str) and self._annotated(value) in self.files
            elif kind in _TYPES:
                fits = isinstance(value, _TYPES[kind]) and not isinstance(value, bool)
            else:
                fits = isinstance(value, list) and _NODES[nodes[value[0]]["class_type"]][1][value[1]] == kind
            if not fits:
                found.append({"message": "Value not in list", "details": f"{name}: {str(value)[:60]!r}"})
        return found

    def _choices(self, kind: str) -> list[str]:
        known = {"samplers": _SAMPLERS, "schedulers": _SCHEDULERS}
        return self.choices.get(kind[1:]) or known.get(kind[1:], [])

    def _annotated(self, name: str) -> tuple[str, str]:
        bare, _, kind = name.rpartition(" [")
        return kind.rstrip("]"), bare

    def _history(self, number: str) -> object:
        if self.running is None and self.waiting:
            self.running, self.step, self.stopped = self.waiting.pop(0), 0, False
        elif self.running is not None:
            self.step += 1
            self.told(self.step)
            self._end_if_done()
        return {number: self.history[number]} if number in self.history else {}

    def _end_if_done(self) -> None:
        if self.running is not None and (self.stopped or self.step >= self.steps):
            self._end(self.running)

    def _end(self, prompt: Prompt) -> None:
        outputs: dict[str, Any] = {}
        messages: list[Any] = [["execution_start", {"prompt_id": prompt.number}]]
        if self.stopped:
            messages.append(["execution_interrupted", {"prompt_id": prompt.number, "node_id": "6"}])
        elif self.failing:
            messages.append(["execution_error", {"traceback": ["secret"], **self.failing.pop(0)}])
        else:
            messages.append(["execution_success", {"prompt_id": prompt.number}])
            for key, node in prompt.nodes.items():
                if not _NODES[node["class_type"]][1]:
                    outputs[key] = {"images": [self._written(key, prompt)]}
        good = messages[-1][0] == "execution_success"
        status = {"status_str": "success" if good else "error", "completed": good, "messages": messages}
        self.history[prompt.number] = {"prompt": [], "outputs": outputs, "status": status, "meta": {}}
        self.running = None

    def _written(self, key: str, prompt: Prompt) -> dict[str, str]:
        """Put a picture into a folder that depends on all that it is made of, and says what that is."""
        made = _made(prompt.nodes, key)
        sizes = [each["inputs"] for each in prompt.nodes.values() if "width" in each["inputs"]]
        size = (sizes[0]["width"], sizes[0]["height"]) if sizes else (8, 8)
        told = PngImagePlugin.PngInfo()
        told.add_text("prompt", json.dumps(prompt.nodes))
        told.add_text("made", json.dumps(made))
        buffer = io.BytesIO()
        colour = tuple(hashlib.sha256(json.dumps(made).encode()).digest()[:3])
        Image.new("RGB", size, colour).save(buffer, "PNG", pnginfo=told)
        kind = "temp" if prompt.nodes[key]["class_type"] == "PreviewImage" else "output"
        name = f"ComfyUI_{kind} {len(self.history)}&.png"
        self.files[kind, f"sub/{name}"] = buffer.getvalue()
        return {"filename": name, "subfolder": "sub", "type": kind}

    def _view(self, query: dict[str, list[str]]) -> Raw:
        name = f"{query['subfolder'][0]}/{query['filename'][0]}"
        data = self.files.get((query["type"][0], name))
        return Raw(404, b"") if data is None else Raw(200, data, "image/png")

    def _metadata(self, name: str) -> Raw:
        found = self.headers.get(name)
        return Raw(404, b"") if found is None else Raw(200, json.dumps(found).encode())

    def _info(self, class_type: str) -> object:
        if class_type not in _NODES:
            return {}
        required: dict[str, Any] = {}
        for name, kind in _NODES[class_type][0].items():
            if not kind.startswith("@"):
                required[name] = [kind.upper(), {}]
            elif self.newest:
                required[name] = ["COMBO", {"multiselect": False, "options": self._choices(kind)}]
            else:
                required[name] = [self._choices(kind), {"tooltip": "one of them"}]
        return {class_type: {"input": {"required": required}, "name": class_type}}

    def _upload(self, content: bytes, kind: str) -> object:
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        form = parser.parsebytes(f"content-type: {kind}\r\n\r\n".encode() + content)
        fields: dict[str, Any] = {}
        for part in form.iter_parts():
            fields[str(part.get_param("name", header="content-disposition"))] = part
        image, folder = fields["image"], fields["subfolder"].get_content().strip()
        where = fields["type"].get_content().strip()
        self.files[where, f"{folder}/{image.get_filename()}"] = image.get_payload(decode=True)
        return {"name": image.get_filename(), "subfolder": folder, "type": where}


def _made(nodes: dict[str, Any], key: str) -> Any:
    """Return all that goes into what a node puts out."""
    inputs = nodes[key]["inputs"]
    return {
        "by": nodes[key]["class_type"],
        **{
            name: _made(nodes, value[0]) if isinstance(value, list) else value
            for name, value in sorted(inputs.items())
        },
    }


@contextmanager
def comfyui_server() -> Iterator[FakeComfyUI]:
    """Run a fake ComfyUI on a free port of loopback for the length of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        fake = FakeComfyUI(f"http://127.0.0.1:{server.server_address[1]}")
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
        fake: FakeComfyUI = self.server.fake  # type: ignore[attr-defined]
        raw = fake.answer(method, self.path, content, self.headers.get("content-type", ""))
        self.send_response(raw.status)
        self.send_header("content-type", raw.kind)
        self.send_header("content-length", str(len(raw.body)))
        self.end_headers()
        self.wfile.write(raw.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        pass
