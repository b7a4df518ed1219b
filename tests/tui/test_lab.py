"""The lab of human feedback and what leads on from it: what is shown, what is started, what is asked."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from agents.lens_layer import LensLayer
from arena.curve_points import keep_point
from arena.jobs import Job, Jobs
from arena.locks import hold
from arena.records import Run
from arena.records_lens import LayerTable, Look, RewardParts
from arena.records_text import Completion, Pair
from arena.store import Store
from arena.text_client import Answer
from envs.errors import ArenaError
from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp
from tui.children import Children
from tui.screens.compare import CompareScreen
from tui.screens.curve import CurveScreen
from tui.screens.lab import LabScreen
from tui.screens.lens import LensScreen
from tui.screens.samples import SamplesScreen

SMALL = (80, 24)
LARGE = (160, 50)
FILES = {"config.json": b"{}"}
PROMPT = "my [b]lamp[/b]\x1b hums"
WAITS = """
import signal, sys, time
asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
print("ppo-2 100/400 · 1:02 left", flush=True)
while not asked:
    time.sleep(0.01)
sys.exit(130)
"""


def add_run(store: Store, name: str, algorithm: str, state: str = "finished", **config: Any) -> int:
    run = store.create_run(Run(name, "text", algorithm, {"parent": "sft", **config}, 1, 400))
    keys = {"rlhf": ("charts/reward", "charts/kl", "losses/entropy"), "dpo": ("charts/accuracy",)}
    for step in (100, 200):
        values = dict.fromkeys(keys.get(algorithm, ()), step / 100)
        store.commit_interval(run, step, 1.0, [(step, values)])
    if state != "running":
        store.finish_run(run, state)  # type: ignore[arg-type]
    return run


@pytest.fixture
def lab(db: Path) -> Path:
    """A league with an SFT model, a PPO model whose answers were kept, a stopped run of DPO, and a pair to label."""
    with Store(db) as store:
        sft = store.add_text_model("sft", "sft", FILES)
        run = add_run(store, "ppo-1", "rlhf")
        store.add_text_model("ppo-1", "rlhf", FILES, sft, run)
        add_run(store, "dpo-1", "dpo", "stopped")
        asked = store.add_prompts([PROMPT], "test")[0]
        other = store.add_prompts(["my phone rings"], "train")[0]
        answers = {100: "wait.", 200: "wait.", 300: "unplug it\x1b[2J."}
        store.add_completions(
            [Completion(asked, text, run=run, step=step) for step, text in answers.items()]
            + [Completion(other, text, model=sft) for text in ("let it ring", "answer it")]
        )
    return db


@pytest.fixture
def app(lab: Path) -> Iterator[ArenaApp]:
    """The app with jobs that do nothing but wait."""
    made = ArenaApp(lab, "Ann")
    made.jobs = Jobs(lab, (sys.executable, "-c", WAITS))
    yield made
    for job in made.jobs.all():
        made.jobs.kill(job.id)


async def open_lab(pilot: Pilot[Any]) -> LabScreen:
    app = await ready(pilot)
    await pilot.press("f8")
    await until(pilot, lambda: isinstance(app.screen, LabScreen) and "▸ next" in shown(app))
    assert isinstance(app.screen, LabScreen)
    return app.screen


async def job_is(pilot: Pilot[Any], app: ArenaApp, state: str, number: int = 0) -> Job:
    await until(pilot, lambda: len(app.jobs.all()) > number and app.jobs.all()[0].state == state)
    return app.jobs.all()[0]


async def choose(pilot: Pilot[Any], screen: LabScreen, name: str) -> None:
    """Put the cursor on a run, and wait for its curves."""
    rows = [str(row.value) for row in screen.table.rows]
    screen.table.move_cursor(row=rows.index(name))
    await until(pilot, lambda: screen.row is not None and screen.row.name == name)
    await until(pilot, lambda: screen._lab is not None and screen._lab.curves.run == name)


@pytest.mark.slow
async def test_stages_runs_and_curves(app: ArenaApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        screen = await open_lab(pilot)
        await sees(
            pilot, "✓sample 2", "✓ppo", "arena rlhf dpo --name dpo-1 --resume", "■ stopped", "stopped at 200 of 400"
        )
        assert "✓reward" not in shown(app)
        await choose(pilot, screen, "ppo-1")
        await sees(pilot, "● ppo-1", "reward", "completions", "from sft")
        assert "KL, nats" not in shown(app)
        await pilot.press("m")
        await sees(pilot, "KL, nats")
        await pilot.press("t")
        await sees(pilot, "t curves")
        assert screen.query_one("#plot-0 #plot-numbers", DataTable).row_count == 2
        await pilot.press("t")
        await pilot.resize_terminal(*LARGE)
        await sees(
            pilot, "KL, nats", "entropy", "my [b]lamp[/b]\\x1b hums", "after 300 completions", "unplug it\\x1b[2J."
        )
        await choose(pilot, screen, "sft")
        await sees(pilot, "sft · SFT")


@pytest.mark.slow
async def test_what_is_begun_is_followed_stopped_and_gone_on_with(app: ArenaApp) -> None:
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        screen = await open_lab(pilot)
        await pilot.press("s")
        job = await job_is(pilot, app, "running")
        assert job.command == job.resume == ("rlhf", "dpo", "--name", "dpo-1", "--resume")
        assert job.tag == "run dpo-1"
        await until(pilot, lambda: screen._lab is not None and screen._lab.jobs and screen._lab.jobs[0].progress)
        await sees(pilot, "▶ at work: dpo-1 100/400 · 1:02 left")
        await pilot.press("s")
        await sees(pilot, "dpo-1 is at work; x stops it")
        await pilot.press("x")
        await job_is(pilot, app, "stopped")
        await until(pilot, lambda: "▸ next" in shown(app))
        await choose(pilot, screen, "ppo-1")
        await pilot.press("r")
        await sees(pilot, "there is nothing to go on with")
        await choose(pilot, screen, "dpo-1")
        await pilot.press("r")
        assert (await job_is(pilot, app, "running", 1)).command == job.command


@pytest.mark.slow
async def test_any_step_with_settings_of_ones_own(app: ArenaApp) -> None:
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await open_lab(pilot)

        async def type_command(down: int, text: str) -> None:
            await pilot.press("n")
            await sees(pilot, "Which step?")
            await pilot.press(*["down"] * down, "enter")
            await until(pilot, lambda: app.screen.query(Input))
            app.screen.query_one(Input).value = text
            await pilot.press("enter")

        for text, told in (
            ("rlhf dance", "write rlhf and one of pretrain"),
            ("--db other.db", "--db is not for here"),
            ("--prompts 'many", "No closing quotation"),
        ):
            await type_command(2, text)
            await sees(pilot, told)
        assert app.jobs.all() == []
        await type_command(2, "--prompts 3")
        job = await job_is(pilot, app, "running")
        assert (job.command, job.tag) == (("rlhf", "sample", "--prompts", "3"), "rlhf")
        await type_command(6, "rlhf ppo --set kl_coef=0.1")
        await until(pilot, lambda: len(app.jobs.all()) == 2)
        job = app.jobs.all()[0]
        assert job.command == ("rlhf", "ppo", "--set", "kl_coef=0.1", "--name", "ppo-2")
        assert job.resume == ("rlhf", "ppo", "--name", "ppo-2", "--resume")


@pytest.mark.slow
async def test_it_leads_on_to_labelling(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SMALL) as pilot:
        await open_lab(pilot)
        await sees(pilot, "▸pretrain", "arena rlhf pretrain", "No model yet")
        with Store(db) as store:
            sft = store.add_text_model("sft", "sft", FILES)
            asked = store.add_prompts(["my phone rings"])[0]
            store.add_pairs([Pair(asked, *store.add_completions([Completion(asked, t, model=sft) for t in "ab"]))])
        await pilot.press("ctrl+r")
        await sees(pilot, "▸label", "next: arena label")
        await pilot.click("#next")
        await until(pilot, lambda: app.current_mode == "label" and "my phone rings" in shown(app))


@pytest.mark.slow
async def test_one_prompts_answers_change(app: ArenaApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        screen = await open_lab(pilot)
        await choose(pilot, screen, "dpo-1")
        await pilot.press("a")
        await sees(pilot, "answers are kept of runs of PPO")
        await choose(pilot, screen, "ppo-1")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SamplesScreen) and "prompt 1 of 1" in shown(app))
        await sees(pilot, "my [b]lamp[/b]\\x1b hums", "after 200 completions as before", "unplug it\\x1b[2J.")
        assert shown(app).count("wait.") == 1
        await pilot.press("right", "escape")
        await until(pilot, lambda: app.screen is screen)


class Models:
    """What the process of the language models is to the app."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str], float, int]] = []
        self.problem = ""

    async def answers(
        self, db: str, prompt: str, models: Sequence[str], tokens: int, temperature: float, seed: int
    ) -> AsyncIterator[Answer]:
        self.asked.append((prompt, list(models), temperature, seed))
        for name in models:
            yield Answer(name, f"{name} [red]says\x1b[31m {seed}", name != "ppo-1")
            if self.problem:
                raise ArenaError(self.problem)

    async def look(
        self, db: str, prompt: str, model: str, reference: str, reward_model: str | None, tokens: int
    ) -> Look:
        if self.problem:
            raise ArenaError(self.problem)
        layers = [LensLayer(("you", "[b]\x1b"), (0.25, 0.5)), LensLayer((" hi", "[b]\x1b"), (0.75, 1.0))]
        tables = [LayerTable(name, layers) for name in (reference, model)]
        parts = RewardParts("judge", 1.5, [(1, 0, 0.75), (0, 1, -0.25)], [("hi", 0.5)], [0.125], 0.5, 0.25)
        return Look(prompt, model, reference, "hi [b]", [(" hi", 2.5), ("[b]\x1b", -1.0)], tables, parts)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    found = Models()

    async def text(_: Children) -> Models:
        return found

    monkeypatch.setattr(Children, "text", text)
    return found


@pytest.mark.slow
async def test_models_answer_beside_each_other(app: ArenaApp, models: Models) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_lab(pilot)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "PPO: ppo-1" in shown(app))
        await pilot.press(*"dim?", "enter")
        await sees(pilot, "sft [red]says\\x1b[31m 0", "ppo-1 [red]says\\x1b[31m 0", "(cut at its length)")
        await pilot.press("d")
        await sees(pilot, "ppo-1 [red]says\\x1b[31m 1", "drawn by chance, seed 1")
        assert models.asked == [("dim?", ["sft", "ppo-1"], 0.0, 0), ("dim?", ["sft", "ppo-1"], 1.0, 1)]

        def rows() -> int:
            return len({app.screen.query_one(f"#pane-{number}").region.y for number in range(2)})

        assert rows() == 2, "below one another where it is narrow"
        await pilot.resize_terminal(*LARGE)
        await until(pilot, lambda: rows() == 1)
        models.problem = "out of [memory]"
        await pilot.press("p")
        await sees(pilot, "out of [memory]")
        assert models.asked[-1][0] == PROMPT
        models.problem = ""
        await pilot.press("e")
        await until(pilot, lambda: app.screen.query_one(Input).has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))


@pytest.mark.slow
async def test_the_lens(app: ArenaApp, models: Models) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_lab(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, LensScreen) and "ppo-1 beside sft" in shown(app))
        await pilot.press(*"dim?", "enter")
        await sees(pilot, "log-ratio of ppo-1 to sft by token, +1.5 nats", "hi#[b]\\x1b+", "ppo-1 says: hi [b]")
        await sees(pilot, "you      25% ✓        75%", "✓        50% ✓       100%")
        await pilot.press("t")
        await sees(pilot, "+2.50", "-1.00")
        await pilot.press("3")
        await sees(pilot, "3 reward +1.50 by judge", "layer 1  head 0    +0.75", "embedding +0.50, rest +0.25")
        await pilot.press("home")
        await until(pilot, lambda: "embedding +0.50" not in shown(app))
        await pilot.press("end")
        await sees(pilot, "embedding +0.50")
        app.theme = "arena-light"
        await pilot.press("1")
        await sees(pilot, "1 log-ratio")
        models.problem = "the model's tokens are others"
        await pilot.press("e", *"?", "enter")
        await sees(pilot, "the model's tokens are others")


@pytest.mark.slow
async def test_the_curve(app: ArenaApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_lab(pilot)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, CurveScreen) and "nothing measured yet" in shown(app))
        await pilot.press("escape")
        with Store(app.db) as store:
            for labels in (50, 200):
                run = add_run(store, f"curve-ppo-{labels}-0", "rlhf", gold="helpful")
                store.add_metrics(run, [(step, {"charts/gold": labels / step}) for step in (100, 200)])
                for name, step in ((f"curve-dpo-{labels}-0.1-0", 0), (f"curve-reward-{labels}-0", 1)):
                    add_run(store, name, "dpo")
                    keep_point(store, name, step, 9.0 if step == 0 else 0.0, 0.5, 0.25)
                keep_point(store, f"curve-reward-{labels}-0", 4, 0.64, 0.75, 1.5)
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        await pilot.press("g")
        await sees(pilot, "50 labels · 1 of 3", "● PPO ", "◆ PPO, reward model", "▲ DPO", "■ best of n")
        await pilot.press("t")
        await until(pilot, lambda: app.screen.query("#plot-numbers"))
        table = app.screen.query_one("#plot-numbers", DataTable)
        await until(pilot, lambda: table.row_count == 5)
        rows = [[str(cell).strip() for cell in table.get_row_at(row)] for row in range(table.row_count)]
        assert rows == [
            ["0", "", "", "0.5", "0.5"],
            ["0.8", "", "", "", "0.75"],
            ["1", "0.5", "1", "", ""],
            ["1.414", "0.25", "2", "", ""],
            ["3", "", "", "0.5", ""],
        ]
        await pilot.press("n", "n", "t")
        await sees(pilot, "PPO, all · 3 of 3", "● 50 labels", "◆ 200 labels")
        await pilot.press("s")
        assert (await job_is(pilot, app, "running")).command == ("rlhf", "curve")
        assert "started" in str(app.screen.query_one("#note", Static).content)


async def test_a_training_started_elsewhere_is_waited_for(app: ArenaApp, lab: Path) -> None:
    with Store(lab) as store:
        run = add_run(store, "ppo-9", "rlhf", "running")
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        with hold(lab, f"run-{run}", "ppo-9"):
            await pilot.press("f8")
            await until(pilot, lambda: "at work: ppo-9, started elsewhere" in shown(app))
            assert "▸" not in shown(app).split("at work:")[0]
            await pilot.press("s")
            await until(pilot, lambda: "n starts something beside it" in shown(app))
            assert app.jobs.all() == []
