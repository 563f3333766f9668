"""Jobs as lines of a list, and one of them with its pieces and what happened, ready for templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.web import words
from registry.web.presenters import Badge, Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.views import JobLine, JobView, PieceView

RENDER: Final = "render"
LIVE: Final = frozenset({"queued", "running"})
KINDS: Final = {
    "scan": "Scan",
    "hash": "Hashing",
    "pictures": "Look at pictures",
    "sync": "Sync with Civitai",
    "fingerprint": "Measuring of weights",
    "export": "Export of sidecars",
    RENDER: "Drawing",
}
_TONES: Final = {"running": "on", "done": "good", "failed": "bad", "cancelled": "warn", "interrupted": "warn"}
_DONE: Final = "done"
_CALLED: Final = 200
_ERROR: Final = 500
_OUTCOMES: Final = 8
_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job of the list; `came` is what came of it, or where it is `bad`, why nothing did.

    `step` and `steps` are how far it is, `steps` is `None` where nobody knows how much there is or it ended.
    """

    id: int
    url: str
    what: str
    by: str
    state: Badge
    live: bool
    amount: str
    step: int
    steps: int | None
    began: str
    ended: str
    came: str
    bad: bool


class Asked(NamedTuple):
    """What a piece is of: a lora, 0 for none, and how it is asked for, in words."""

    lora_id: int
    how: str


class Failure(NamedTuple):
    """A piece that failed: how it was asked for, the lora that it is of by its name and address, and why."""

    how: str
    name: str
    url: str | None
    why: str


class Button(NamedTuple):
    """Something that can be done with a job: the end of its address, what it is called and what it does."""

    action: str
    label: str
    does: str


class LogLine(NamedTuple):
    """Something that happened, and when."""

    at: str
    text: str


def number_of(text: str) -> int | None:
    """Return the number of a job in an address, `None` for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def job_row(job: JobView) -> JobRow:
    """Return a job as a line of the list."""
    live = job.state in LIVE
    error = words.sentence(words.cut(job.error, _ERROR)) if job.error else ""
    return JobRow(
        id=job.id,
        url=words.job_url(job.id),
        what=_what(job),
        by=words.cut(job.actor or "", _CALLED),
        state=Badge(words.visible(job.state), _TONES.get(job.state, "")),
        live=live,
        amount=_amount(job),
        step=job.done,
        steps=job.total if live and job.total and job.done <= job.total else None,
        began="" if job.started_at is None else words.moment(job.started_at),
        ended="" if job.finished_at is None else words.moment(job.finished_at),
        came=error or ("" if live else _outcome(job.result)),
        bad=bool(error),
    )


def facts(job: JobView, states: Mapping[str, int]) -> tuple[Fact, ...]:
    """Return what is known of a job; `states` says how many of its pieces are in which state."""
    row = job_row(job)
    took = ""
    if job.started_at is not None and job.finished_at is not None:
        took = words.duration(max(0, job.finished_at - job.started_at) / 1000)
    told = (
        ("done", "" if states else row.amount),
        ("pieces", _counts(states)),
        ("asked for by", row.by),
        ("asked for", _moment(job.created_at)),
        ("begun", _moment(job.started_at)),
        ("ended", _moment(job.finished_at)),
        ("took", took),
        # Of what is done in pieces that is how they ended.
        ("error" if row.bad else "what came of it", "" if states and not row.bad else row.came),
    )
    return tuple(Fact(name, text) for name, text in told if text)


def buttons(job: JobView, states: Mapping[str, int]) -> tuple[Button, ...]:
    """Return what can be done with a job as it is."""
    if job.state in LIVE:
        return (Button("cancel", "Cancel", _cancels(job)),)
    forget = Button("forget", "Forget", "It is taken off the list. What came of it stays.")
    left = sum(number for state, number in states.items() if state != _DONE)
    if not left:
        return (forget,)
    those = "The one piece that is" if left == 1 else f"The {words.count(left)} pieces that are"
    return (Button("retry", "Do it again", f"{those} not done {_wait(left)} for another turn."), forget)


def asked(piece: PieceView) -> Asked:
    """Return what a piece of a drawing is of, as far as it says so."""
    told: Any = piece.spec if isinstance(piece.spec, dict) else {}
    lora, spec = told.get("lora"), told.get("spec")
    known = spec if isinstance(spec, dict) else {}
    how = [
        f"{name} {words.number(known[name])}" for name in ("weight", "seed") if _is_number(known.get(name))
    ]
    return Asked(lora if isinstance(lora, int) and lora > 0 else 0, ", ".join(how))


def failure(piece: PieceView, name: str | None) -> Failure:
    """Return a piece that failed; `name` is what the lora that it is of is called, if it is there."""
    of = asked(piece)
    why = piece.error or piece.slug or "nobody knows why"
    return Failure(
        of.how or f"piece {words.count(piece.place + 1)}",
        name or "",
        words.lora_url(of.lora_id) if name else None,
        words.cut(why, _ERROR),
    )


def log(lines: Iterable[JobLine]) -> tuple[LogLine, ...]:
    """Return what happened during a job."""
    return tuple(LogLine(_moment(line.at), words.cut(line.text, _ERROR)) for line in lines)


def _what(job: JobView) -> str:
    called = words.cut(job.called or "", _CALLED) or KINDS.get(job.kind) or words.cut(job.kind, _CALLED)
    return f"{called[:1].upper()}{called[1:]}"


def _amount(job: JobView) -> str:
    # Of what is done in pieces, those are told as done that have ended in any way.
    pieces = job.result if job.kind == RENDER and isinstance(job.result, dict) else {_DONE: job.done}
    number = pieces.get(_DONE, 0)
    done = words.count(number if _is_whole(number) else job.done)
    return f"{done} of {words.count(job.total)}" if job.total else done


def _cancels(job: JobView) -> str:
    if job.state == "queued":
        return "It waits for its turn, and ends at once."
    if job.kind == RENDER:
        return "It stops within a step of drawing. What is drawn stays."
    return "It stops within seconds. What it did until then stays."


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _counts(states: Mapping[str, int]) -> str:
    return ", ".join(f"{words.count(number)} {words.visible(state)}" for state, number in states.items())


def _outcome(result: object) -> str:
    """Return the numbers in what came of a job that are not nothing."""
    if not isinstance(result, dict):
        return ""
    numbers = [(str(name), number) for name, number in result.items() if _is_whole(number) and number]
    told = [f"{words.cut(name, 40).replace('_', ' ')} {words.count(number)}" for name, number in numbers]
    return ", ".join(told[:_OUTCOMES])


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _moment(at: int | None) -> str:
    return "" if at is None else words.moment(at, seconds=True)
