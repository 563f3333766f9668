"""`loras render`: draw pictures of loras."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.interrupt import stopping_with
from cli.options import given, opened, verb
from cli.output import emit_json, hint, say
from cli.queries import TakesQuery, requoted

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.drawings import Plan
    from registry.rendering import Rendering, Result
    from registry.views import JobView

ORDER: Final = 59
app = typer.Typer()
_SIZE: Final = re.compile(r"([0-9]{2,4})\s*[x×*]\s*([0-9]{2,4})", re.IGNORECASE)
_SEED: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_UNFIT: Final = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


@app.command(cls=TakesQuery, context_settings={"ignore_unknown_options": True})
@verb
def render(
    context: typer.Context,
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[REF...]", help="Some loras: ids, hashes, paths or names.")
    ] = None,
    *,
    query: Annotated[
        str | None, typer.Option("--query", metavar="QUERY", help="All that a search finds, instead.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Weights, such as 0,.5,1 (default: the preferred one)."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="LIST", help="Seeds (default: 1234).")] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="One prompt for all (default: each its own); again for more.")
    ] = None,
    house: Annotated[
        bool, typer.Option("--house", help="Draw also one prompt for all beside their own.")
    ] = False,
    negative: Annotated[str | None, typer.Option(help="What is not to be seen.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="The size (default: that of the training).")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=200)] = 20,
    sampler: Annotated[str, typer.Option(metavar="NAME")] = "DPM++ 2M",
    cfg: Annotated[float, typer.Option(min=0, max=30)] = 7.0,
    base: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A base model of the settings, or a path (default: by lora); again for more."
        ),
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Four steps without guidance.")] = False,
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="ACROSS,DOWN",
            help="Write one sheet of all: axes are lora, weight, epoch, prompt, seed and base.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the pictures there too (PNG).")
    ] = None,
    beside: Annotated[
        bool,
        typer.Option("--beside", help="Write a preview beside each model that has none, in writable roots."),
    ] = False,
    until: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="Leave what is not done by then for another time.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be drawn, and draw nothing.")
    ] = False,
) -> None:
    """Draw pictures of loras, different ones in one batch, and keep them as their pictures.

    Every weight is drawn with every seed. What was drawn once is not drawn again. It can be stopped with
    Ctrl-C; what is drawn stays. A base model is named in the settings (`bases`), and who draws (`renderer`):
    this program, or a running A1111 or ComfyUI.

    Examples:
      loras render ink.safetensors --weights 0,.5,.8,1 --grid weight,seed
      loras render --query -has:preview --until 07:00
      loras render --query "arch:sdxl rating:4.." --house --dry-run
    """
    from registry.drawings import NEGATIVE, SEED, Asking, next_time
    from registry.errors import BadRequest
    from registry.render.plan import AXES
    from registry.rendering import Rendering

    if bool(references) == (query is not None):
        raise BadRequest("pictures are of some loras or of a query", remedy="name loras, or give --query")
    axes = tuple(each.strip() for each in grid.split(",")) if grid is not None else None
    if axes is not None and (len(axes) != 2 or not set(axes) <= set(AXES)):
        raise BadRequest(f"a grid has two axes of {', '.join(AXES)}", remedy="for example --grid weight,seed")
    with opened(context) as registry:
        asking = Asking(
            loras=_loras(registry, references or [], query),
            bases=tuple(map(_whole, base or ())),
            weights=_numbers(weights, "--weights"),
            seeds=_seeds(seeds) or (SEED,),
            prompt=prompt[0] if prompt else None,
            prompts=tuple(prompt[1:]) if prompt else (),
            house=house,
            negative=NEGATIVE if negative is None else negative,
            size=_size(size),
            steps=steps,
            sampler=sampler,
            cfg=cfg,
            draft=draft,
            priority=10 if references else 0,
            ends_at=None if until is None else next_time(until, registry.catalog.clock()),
        )
        rendering = Rendering(registry)
        try:
            if dry_run:
                _print_plan(rendering.plan(asking), json=given(context).json)
                return
            job_id, plan = rendering.start(asking, actor="cli")
            _say_left(plan)
            if plan.seconds:
                hint(f"about {_duration(plan.seconds)}")
            job = _draw(registry, rendering, job_id, plan)
            results = rendering.results(job_id)
            if beside:
                _write_beside(registry, asking.loras)
            files = _write(rendering, job_id, results, out, axes)
        finally:
            rendering.close()
    _print(job, plan, results, files, json=given(context).json)
    _end(job)


def _loras(registry: Registry, references: list[str], query: str | None) -> tuple[int, ...]:
    from cli.choosing import queried, referred
    from registry.errors import NotFound

    found = referred(registry, references) if query is None else queried(registry, requoted(query))
    if not found:
        raise NotFound("no lora was found", remedy="see `loras search`")
    return tuple(found)


def _numbers(text: str | None, option: str) -> tuple[float, ...]:
    from registry.errors import BadRequest

    if text is None:
        return ()
    try:
        return tuple(float(each) for each in text.replace("，", ",").split(",") if each.strip())
    except ValueError:
        raise BadRequest(
            f"{option} takes numbers with commas between them, not {text!r}", remedy=f"{option} 0,.5,1"
        ) from None


def _seeds(text: str | None) -> tuple[int, ...]:
    from registry.errors import BadRequest

    if text is None:
        return ()
    words = [each.strip() for each in text.replace("，", ",").split(",") if each.strip()]
    if not all(_SEED.fullmatch(each) for each in words):
        raise BadRequest(f"seeds are whole numbers, not {text!r}", remedy="--seeds 1,2,3")
    return tuple(int(each) for each in words)


def _whole(base: str) -> str:
    """Return a base model that is a path from here as a whole path: another process may open it."""
    place = Path(base).expanduser()
    return str(place.absolute()) if base and place.exists() else base


def _size(text: str | None) -> tuple[int, int] | None:
    from registry.errors import BadRequest

    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"{text!r} is no size", remedy="--size 512x768")
    return int(found[1]), int(found[2])


def _draw(registry: Registry, rendering: Rendering, job_id: int, plan: Plan) -> JobView:
    from cli.progress import bars
    from registry.catalog.pieces import stop_job
    from registry.errors import Cancelled, NotFound

    logging.getLogger("registry.work.dispatcher").setLevel(logging.CRITICAL)

    def stop() -> None:
        try:
            with registry.catalog.write(actor="cli") as unit:
                stop_job(unit, job_id)
        except NotFound:
            # It ended just now.
            return

    with stopping_with(stop), bars() as shown:
        bar = shown.add("pictures", plan.pictures)
        said: set[object] = {None}

        def look(job: JobView, told: dict[str, object]) -> None:
            waits = told.get("waits_for")
            if waits not in said:
                said.add(waits)
                hint(f"loras: waiting: {waits}")
            bar.move(
                job.done + _share(told, job_id), plan.pictures, f"waiting: {waits}" if waits else "pictures"
            )

        job = rendering.finish(job_id, look)
        if job.state == "cancelled":
            raise Cancelled("the drawing was stopped")
    return job


def _share(told: dict[str, object], job_id: int) -> float:
    """Return how many pictures the batch under way comes to so far."""
    batches = told.get("batches")
    share = 0.0
    for batch in batches if isinstance(batches, list) else ():
        if job_id in batch["jobs"] and batch["steps"]:
            share += batch["pieces"] * batch["step"] / batch["steps"]
    return share


def _write_beside(registry: Registry, loras: tuple[int, ...]) -> None:
    from registry.exported import ExportWish
    from registry.exports import Exporting

    tally = Exporting(registry, lambda _query: [], most=None).run(
        ExportWish(ids=loras, previews=True), actor="cli"
    )
    hint(f"wrote {tally.written} previews beside models")
    for one in tally.problems:
        hint(f"loras: {one.path}: {one.reason}")


def _write(
    rendering: Rendering,
    job_id: int,
    results: list[Result],
    out: Path | None,
    axes: tuple[str, ...] | None,
) -> list[str]:
    """Write the pictures and the sheet where they are wanted, over nothing that is there."""
    from registry.sheets import sheet_of

    files: list[str] = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for each in results:
            data = None if each.picture is None else rendering.picture(each.picture)
            if data is not None:
                spec = each.planned.spec
                name = f"{each.planned.subject.name or 'base'} {spec.weight:g} {spec.seed}"
                files.append(_put(out, name, data))
    if axes is not None:
        data = sheet_of(rendering, job_id, axes[0], axes[1])
        if data is not None:
            files.append(_put(out or Path(), f"sheet {job_id}", data))
    return files


def _put(folder: Path, name: str, data: bytes) -> str:
    safe = _UNFIT.sub("_", name).strip(" .")[:150] or "picture"
    for number in range(1, 10_000):
        place = folder / (f"{safe}.png" if number == 1 else f"{safe} ({number}).png")
        try:
            with place.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return str(place)
    return ""


def _print_plan(plan: Plan, *, json: bool) -> None:
    if json:
        emit_json({"dry_run": True, **{name: getattr(plan, name) for name in plan.__slots__}})
        return
    there = f", {plan.there:,} of them there already" if plan.there else ""
    say(f"would draw {plan.pictures:,} pictures{there}")
    if plan.seconds is not None:
        say(f"that takes about {_duration(plan.seconds)}")
    elif plan.pictures > plan.there:
        hint("how long that takes is known after a few batches")
    _say_left(plan)


def _say_left(plan: Plan) -> None:
    for one in plan.left:
        hint(f"loras: {one.text}")
    if plan.left_out > len(plan.left):
        hint(f"loras: and {plan.left_out - len(plan.left):,} more that cannot be drawn")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print(job: JobView, plan: Plan, results: list[Result], files: list[str], *, json: bool) -> None:
    states = job.result if isinstance(job.result, dict) else {}
    if json:
        pictures = [
            {
                "lora": each.planned.subject.id,
                "name": each.planned.subject.name,
                "weight": each.planned.spec.weight,
                "seed": each.planned.spec.seed,
                "prompt": each.planned.spec.prompt,
                "state": each.state,
                "picture": each.picture,
                "slug": each.slug,
                "error": each.error,
            }
            for each in results
        ]
        told = {"job": job.id, "state": job.state, "pieces": states, "pictures": pictures, "files": files}
        emit_json({**told, "left": list(plan.left), "left_out": plan.left_out})
        return
    there = f" ({plan.there:,} were there already)" if plan.there else ""
    say(f"{states.get('done', 0):,} pictures{there}")
    for each in results:
        if each.slug is not None or each.error is not None:
            name = f"{each.planned.subject.name} at {each.planned.spec.weight:g}"
            hint(f"loras: {name}: {each.error or each.slug}")
    if states.get("left"):
        hint(f"{states['left']:,} are left for another time: ask for the same again")
    for file in files:
        say(file)


def _end(job: JobView) -> None:
    """Let the exit code tell that nothing could be drawn."""
    from registry.errors import CannotDraw

    if job.state == "failed":
        raise CannotDraw(job.error or "nothing could be drawn", remedy=f"see `loras jobs show {job.id}`")
