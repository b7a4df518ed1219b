"""The areas of the app, and every screen that has keys: the one list that the rest of the house is made from.

An area is a mode of the app with screens of its own: its key, the bar at the top, the palette and the help come from
its line in `AREAS`. A new area is one line there; its screen (made without arguments, when it is first gone to)
begins with `yield AreaBar()` from `tui.widgets.area_bar`, binds Escape to `app.back` and, where it shows facts, reads
them in `on_screen_resume`: it stays alive while the person is elsewhere, and Escape from it closes it.
Inside an area, further screens are pushed. A screen whose keys the help shall show is one line in `KEYS`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from textual.binding import Binding
from textual.screen import Screen


@dataclass(frozen=True)
class Area:
    """One area. `key` goes there from anywhere; `screen` is "module:class"; `named`: it asks for your name first."""

    name: str
    key: str
    title: str
    help: str
    screen: str
    named: bool = False

    def open(self) -> Screen[Any]:
        """A new base screen."""
        screen: Screen[Any] = load(self.screen)()
        return screen


AREAS: tuple[Area, ...] = (
    Area("lobby", "f1", "Lobby", "choose a game and somebody to play", "tui.screens.home:HomeScreen"),
    Area("play", "f2", "Play", "the game you are in, or set one up", "tui.screens.setup:SetupScreen"),
    Area("watch", "f3", "Watch", "agents play each other", "tui.screens.setup:WatchSetupScreen"),
    Area("league", "f4", "League", "who is how strong, and against whom", "tui.screens.league:LeagueScreen"),
    Area("training", "f5", "Training", "start, follow and compare trainings", "tui.screens.training:TrainingScreen"),
    Area("replays", "f6", "Replays", "every finished game, step by step", "tui.screens.replays:ReplaysScreen"),
    Area("label", "f7", "Label", "compare texts: human feedback", "tui.screens.label:LabelScreen", named=True),
    Area("lab", "f8", "Lab", "human feedback: models learn what people prefer", "tui.screens.lab:LabScreen"),
    Area("lessons", "f9", "Learn", "lessons: an idea each, beside a live run", "tui.screens.lessons:LessonsScreen"),
)
"""In the order of their keys."""

KEYS: tuple[tuple[str, str], ...] = (
    ("Lobby", "tui.screens.home:HomeScreen"),
    ("Setting a game up", "tui.screens.setup:SetupScreen"),
    ("Setting up what to watch", "tui.screens.setup:WatchSetupScreen"),
    ("Playing and watching", "tui.screens.play:PlayScreen"),
    ("Playing in real time", "tui.screens.realtime:RealtimePlayScreen"),
    ("Replay", "tui.screens.replay:ReplayScreen"),
    ("Replay of pictures", "tui.screens.realtime_replay:RealtimeReplayScreen"),
    ("List of replays", "tui.screens.replays:ReplaysScreen"),
    ("League", "tui.screens.league:LeagueScreen"),
    ("Training", "tui.screens.training:TrainingScreen"),
    ("New training", "tui.screens.train_form:TrainForm"),
    ("Log of a training", "tui.screens.job_log:JobLogScreen"),
    ("Settings of runs", "tui.screens.run_details:RunDetailsScreen"),
    ("Labelling", "tui.screens.label:LabelScreen"),
    ("Ranking", "tui.screens.rank:RankScreen"),
    ("Scoring", "tui.screens.rank:ScoreScreen"),
    ("Lab of human feedback", "tui.screens.lab:LabScreen"),
    ("Answers of a run", "tui.screens.samples:SamplesScreen"),
    ("Compare", "tui.screens.compare:CompareScreen"),
    ("Lens", "tui.screens.lens:LensScreen"),
    ("Curve", "tui.screens.curve:CurveScreen"),
    ("Lessons", "tui.screens.lessons:LessonsScreen"),
    ("Plots", "tui.widgets.plot:PlotPanel"),
)
"""Title and "module:class" of every screen whose keys the help shows and the keymap may change."""


def load(name: str) -> Any:
    """What stands at "module:name", imported now: the first screen waits for no other."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def bindings(screen: str) -> list[Binding]:
    """The keys of a screen of `KEYS`."""
    return [binding for binding in load(screen).BINDINGS if isinstance(binding, Binding)]


def find_area(name: str) -> Area:
    """The area of this name; KeyError where there is none."""
    return {area.name: area for area in AREAS}[name]
