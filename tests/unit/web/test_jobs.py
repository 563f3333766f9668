"""Jobs as lines of a list, and what is told of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.views import JobLine, JobView, PieceView
from registry.web.jobs import Button, Failure, asked, buttons, facts, failure, job_row, log, number_of
from registry.web.presenters import Badge

NOW = 1_700_000_000_000
HOSTILE = "\"'><script>alert(1)</script>\u202e"
JOB = JobView(
    id=12,
    kind="render",
    key="k",
    state="running",
    done=3,
    total=8,
    created_at=NOW,
    started_at=NOW + 5_000,
    finished_at=None,
    owner="m:1:x",
    error=None,
    result=None,
    called="8 pictures of ink",
    actor="mia",
)
ENDED = replace(JOB, state="done", done=8, finished_at=NOW + 65_000, result={"done": 7, "failed": 1})
SCAN = replace(
    ENDED, kind="scan", called="the scan of nas", done=1200, total=None,
    result={"files": 1200, "new": 3, "changed": 0, "unreachable": False, "seconds": 1.5, "odd": {"x": 1}},
)  # fmt: skip
PIECE = PieceView(
    12, 4, "k", "a", "failed", {"lora": 7, "spec": {"weight": 0.5, "seed": 3}}, 1, "no-base", "why"
)


def test_a_job_that_goes_on_says_how_far_it_is() -> None:
    row = job_row(JOB)
    assert (row.url, row.what, row.by, row.state) == (
        "/jobs/12",
        "8 pictures of ink",
        "mia",
        Badge("running", "on"),
    )
    assert (row.live, row.amount, row.step, row.steps) == (True, "3 of 8", 3, 8)
    assert (row.began, row.ended, row.came) == ("2023-11-14 22:13 UTC", "", "")
    assert job_row(replace(JOB, state="queued", started_at=None)).began == ""
    assert job_row(replace(JOB, total=None)).steps is None
    assert job_row(replace(JOB, done=9)).steps is None


def test_a_job_that_has_ended_says_what_came_of_it() -> None:
    assert (job_row(ENDED).came, job_row(ENDED).amount, job_row(ENDED).steps) == (
        "done 7, failed 1",
        "7 of 8",
        None,
    )
    scan = job_row(SCAN)
    assert (scan.what, scan.amount, scan.came) == ("The scan of nas", "1,200", "files 1,200, new 3")
    failed = job_row(replace(SCAN, state="failed", result=None, error=f"no room for {HOSTILE}", actor=None))
    assert failed.came == "No room for \"'><script>alert(1)</script>\\u202e."
    assert (failed.bad, failed.by, failed.state.tone) == (True, "", "bad")
    assert job_row(replace(ENDED, state="cancelled", result={"cancelled": 8})).amount == "0 of 8"


@pytest.mark.parametrize(
    "result", [None, 6, "x", [1], {}, {"done": "x"}, {"a": {"b": 1}}, {"a": True}, {"a": -0.5}]
)
def test_odd_results_are_no_trouble(result: object) -> None:
    assert job_row(replace(ENDED, result=result)).came == ""


def test_what_nobody_named_is_called_by_its_kind() -> None:
    assert job_row(replace(JOB, called=None)).what == "Drawing"
    assert job_row(replace(JOB, called=None, kind="dance\u202e")).what == "Dance\\u202e"
    assert job_row(replace(JOB, called="", kind="")).what == ""
    assert job_row(replace(JOB, called=f"1 picture of {HOSTILE}")).what.endswith("</script>\\u202e")
    assert len(job_row(replace(JOB, called="x" * 5000)).what) < 300


def test_what_is_known_of_one_is_told() -> None:
    told = {fact.name: fact.value for fact in facts(JOB, {"done": 3, "waiting": 4, "failed": 1})}
    assert told == {
        "pieces": "3 done, 4 waiting, 1 failed",
        "asked for by": "mia",
        "asked for": "2023-11-14 22:13:20 UTC",
        "begun": "2023-11-14 22:13:25 UTC",
    }
    told = {fact.name: fact.value for fact in facts(SCAN, {})}
    assert (told["done"], told["took"], told["what came of it"]) == ("1,200", "60 s", "files 1,200, new 3")
    told = {fact.name: fact.value for fact in facts(replace(SCAN, state="failed", error="no room"), {})}
    assert told["error"] == "No room."
    assert "what came of it" not in told


def test_what_can_be_done_with_a_job_is_offered_with_what_that_does() -> None:
    assert [button.action for button in buttons(JOB, {"waiting": 8})] == ["cancel"]
    assert "within a step" in buttons(JOB, {})[0].does
    assert "within seconds" in buttons(replace(JOB, kind="scan"), {})[0].does
    assert "ends at once" in buttons(replace(JOB, state="queued"), {"waiting": 8})[0].does
    assert [button.action for button in buttons(SCAN, {})] == ["forget"]
    assert [button.action for button in buttons(ENDED, {"done": 8})] == ["forget"]
    assert buttons(ENDED, {"done": 7, "failed": 1})[0] == Button(
        "retry", "Do it again", "The one piece that is not done waits for another turn."
    )
    assert buttons(ENDED, {"failed": 2, "left": 3})[0].does.startswith("The 5 pieces that are not done wait ")


def test_why_a_piece_failed_is_told_with_what_it_was() -> None:
    assert failure(PIECE, "ink") == Failure("weight 0.5, seed 3", "ink", "/loras/7", "why")
    assert failure(replace(PIECE, error=None), None) == Failure("weight 0.5, seed 3", "", None, "no-base")
    assert failure(replace(PIECE, error=None, slug=None), None).why == "nobody knows why"
    assert failure(replace(PIECE, error=HOSTILE, spec=None), None) == Failure(
        "piece 5", "", None, "\"'><script>alert(1)</script>\\u202e"
    )


@pytest.mark.parametrize(
    "spec", [None, 7, [], {}, {"lora": None}, {"lora": "7"}, {"lora": -7, "spec": 3}, {"spec": {"seed": "x"}}]
)
def test_pieces_of_other_kinds_are_of_no_lora(spec: object) -> None:
    assert asked(replace(PIECE, spec=spec)) == (0, "")


def test_lines_are_told_with_their_time() -> None:
    (line,) = log([JobLine(NOW, f"piece 1 failed: {HOSTILE}")])
    assert line.at == "2023-11-14 22:13:20 UTC"
    assert line.text.endswith("\\u202e")


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "\u0661", "9" * 19, " 1", HOSTILE])
def test_only_numbers_are_numbers_of_jobs(text: str) -> None:
    assert number_of(text) is None
    assert number_of("012") == 12
