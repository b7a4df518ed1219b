"""Games that go on by themselves: Atari alone, against an agent or in a race with one; sumo and tron; watching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import events, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.keys import format_key

from arena.realtime_client import Done, Scene, has_pictures, open_request
from arena.session_client import Event, Position, Seat
from envs.errors import ArenaError
from envs.paddles import is_knob
from tui.facts import read_game
from tui.keymap import key_of
from tui.pad import DIRECTIONS, STOP, Mode, Pad, action_of
from tui.screens.dialogs import ChooseScreen, ConfirmScreen
from tui.screens.realtime_screen import COMMON, RealtimeScreen
from tui.terminal_keys import EVENT_TYPES, QUERY, REPORT, STOP_REPORTING, KeyboardFlags, KeyUp
from tui.text import inert, shorten
from tui.widgets import panels
from tui.widgets.board import EMPTY
from tui.widgets.frame import FrameView

_LEFT = {"up": "w", "down": "s", "left": "a", "right": "d", "fire": "f", STOP: "x"}
_RIGHT = {"up": "up", "down": "down", "left": "left", "right": "right", "fire": "space", STOP: "enter"}
HANDS = (_LEFT, _RIGHT)
"""Each button's key on the left and on the right of the keyboard; who plays alone has both."""
_WORDS = {"fire": "fire", STOP: "let go"}
DOWN = "●"
"""Stands beside a button that is down: so a key is answered at once, and the game's answer comes with its next step."""
MODES: dict[Mode, str] = {
    "release": "a key held down holds its button down",
    "latch": "a direction stays until another comes; let go stops",
    "tap": "a key is a short push",
    "mouse": "the paddle follows the pointer",
}


def _button(button: str, hand: int) -> Binding:
    side = ("left", "right")[hand]
    words = f"{_WORDS.get(button, button)}, {side} hand"
    return Binding(HANDS[hand][button], f"press('{button}',{hand})", words, show=False, id=f"pad.{button}.{side}")


class RealtimePlayScreen(RealtimeScreen):
    """One game in real time. `seats` are agents' names or {"human": name}; without a person it is watched.

    Args:
        race: the agent that plays the same game beside the person, where one plays alone.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *(_button(button, hand) for hand in (1, 0) for button in (*DIRECTIONS, "fire", STOP)),
        Binding("i", "mode", "Input", id="realtime.mode", tooltip="how keys work: release, latch, tap, mouse"),
        Binding("r", "resign", "Give up", id="realtime.resign"),
        Binding("c", "race", "Race", id="realtime.race", tooltip="compete with an agent in the same game"),
        Binding("n", "new", "New", id="realtime.new"),
        Binding("space", "watch_pause", "Pause", show=False, id="realtime.watch", tooltip="pause, while watching"),
        *COMMON,
    ]

    def __init__(self, game: str, seats: Sequence[Seat], seed: int | None = None, race: str | None = None) -> None:
        super().__init__()
        self.game = game
        self.seats = list(seats)
        self.race = race
        self._seed = seed
        self._knob = is_knob(game)
        self._releases = self._asked_for_releases = False
        mode: Mode = "tap" if game.startswith("gridworld/sumo") else "latch"
        self._pads = {seat: Pad(mode, 2 if has_pictures(game) else 1) for seat in self.people}
        self._asked: dict[int, object] = {}
        self._pointer: tuple[float, float] | None = None
        self._fired: int | None = None  # the step at which a click was FIRE, until the next one

    @property
    def people(self) -> tuple[int, ...]:
        """The seats that people hold."""
        return tuple(i for i, seat in enumerate(self.seats) if not isinstance(seat, str))

    @property
    def unfinished(self) -> bool:
        """Whether a person is in the middle of a game."""
        scene = self.scene
        return bool(self.people and scene and not scene.positions[0].over and scene.positions[0].ply)

    @property
    def mode(self) -> Mode | None:
        """How the people's keys work."""
        return next(iter(self._pads.values())).mode if self._pads else None

    def request(self) -> Mapping[str, Any]:
        seed, self._seed = self._seed, None
        return open_request(str(self.arena.db), self.game, self.seats, seed, self.race)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("press", "mode", "resign"):
            return bool(self.people)
        if action == "watch_pause":
            return not self.people
        if action == "race":
            return len(self.seats) == 1 and bool(self.people)
        return True

    def on_mount(self) -> None:
        self._tell_terminal(QUERY)
        self.app.app_suspend_signal.subscribe(self, lambda _: self.on_screen_suspend(), immediate=True)
        self.app.app_resume_signal.subscribe(self, lambda _: self.on_screen_resume())

    def on_screen_resume(self) -> None:
        if self.is_current:
            self._tell_terminal(QUERY)

    def on_screen_suspend(self) -> None:
        """Something else is on the screen: nobody plays meanwhile."""
        self._let_go()
        if self.people and self.scene is not None and self.scene.running and not self.scene.positions[0].over:
            self.set_clock(running=False)
        self._stop_reporting()

    def on_app_blur(self) -> None:
        self._let_go()

    async def on_unmount(self) -> None:
        self._stop_reporting()

    def _stop_reporting(self) -> None:
        if self._asked_for_releases:
            self._tell_terminal(STOP_REPORTING)
        self._releases = self._asked_for_releases = False

    def _tell_terminal(self, sequence: str) -> None:
        driver = self.app._driver
        if self.people and driver is not None and not self.app.is_headless and not self.app.is_web:
            driver.write(sequence)
            driver.flush()

    def on_keyboard_flags(self, message: KeyboardFlags) -> None:
        """The terminal has answered: it knows the protocol, or does what it was asked for."""
        if message.flags & EVENT_TYPES:
            self._releases = self._asked_for_releases = True
            if self.mode in ("latch", "tap"):
                self._use("release")
        elif not self._asked_for_releases:
            self._asked_for_releases = True
            self._tell_terminal(REPORT + QUERY)
        elif self.mode == "release":  # it is another terminal now
            self._use(self._usual())

    def on_key_up(self, message: KeyUp) -> None:
        """A key was let go; its button is what it is bound to now."""
        for button, hand, keys in self._keys():
            if message.key in keys:
                seat = self._seat_of(hand)
                self._pads[seat].release(button, self._ply)
                self._ask(seat)
                self.put(keys=self._key_words())

    def _keys(self) -> list[tuple[str, int, list[str]]]:
        """(button, hand, the keys that are bound to it now)."""
        found = []
        for hand, side in enumerate(("left", "right")):
            for button, key in HANDS[hand].items():
                found.append((button, hand, self.arena.keys.get(f"pad.{button}.{side}", key).split(",")))
        return found

    @property
    def _ply(self) -> int:
        return self.scene.positions[0].ply if self.scene else 0

    def _seat_of(self, hand: int) -> int:
        """Two people have a hand each."""
        return self.people[min(hand, len(self.people) - 1)]

    def action_press(self, button: str, hand: int) -> None:
        if self.scene is None or not self.people or self.scene.positions[0].over:
            return
        if not self.scene.running and not self.scene.waiting:
            self.say(f"paused: {key_of(self, 'pause')} goes on")
            return
        seat = self._seat_of(hand)
        if self._pads[seat].mode == "mouse":
            self._use(self._usual())
        self._pads[seat].press(button, self._ply)
        self._ask(seat)
        self.put(keys=self._key_words())

    def _ask(self, seat: int) -> None:
        """Tell the session what is wanted of a seat now, where it has changed."""
        if self.scene is None or self._pads[seat].mode == "mouse":
            return
        names = dict(self.scene.positions[0].legal.get(seat, ()))
        wanted = action_of(self._pads[seat].down, names, self._knob)
        if self._asked.get(seat) != wanted and self.send({"do": "input", "seat": seat, "action": wanted}):
            self._asked[seat] = wanted

    def _let_go(self) -> None:
        """Nothing is pressed: the keys may have been let go where nobody hears it."""
        self._fired = None
        for seat, pad in self._pads.items():
            pad.clear()
            if self._asked.get(seat) is not None and self.send({"do": "input", "seat": seat, "action": None}):
                self._asked[seat] = None
        if self.scene is not None:
            self.put(keys=self._key_words())

    def stepped(self, scene: Scene) -> None:
        for seat, pad in self._pads.items():
            pad.stepped(scene.positions[0].ply)
            self._ask(seat)
        if self._fired is not None and self._fired < self._ply:
            self._fired = None
            self._point()

    def _points(self, event: events.MouseEvent) -> bool:
        """Whether the mouse is over the picture of a game that follows it, which goes on or is about to."""
        scene = self.scene
        if scene is None or not scene.pointer or not self.people or not (scene.running or scene.waiting):
            return False
        return self.query_one("#mine", FrameView).region.contains(int(event.screen_x), int(event.screen_y))

    def _point(self) -> None:
        """Tell the session where the pointer is; not while a click is FIRE, which would be taken back."""
        if self._pointer is None or self._fired is not None:
            return
        view, seat = self.query_one("#mine", FrameView), self.people[0]
        x, y = view.share(self._pointer[0] - view.region.x, self._pointer[1] - view.region.y)
        self.send({"do": "pointer", "seat": seat, "x": round(x, 3), "y": round(y, 3)})
        self._asked[seat] = "pointer"

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The paddle follows the pointer from the moment it is moved over the picture."""
        before, self._pointer = self._pointer, (event.screen_x, event.screen_y)
        if before in (None, self._pointer) or not self._points(event):
            return
        if self.mode != "mouse":
            self._use("mouse")
        self._point()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click on the picture is FIRE for a step while the paddle follows the pointer."""
        if self.mode != "mouse" or self.scene is None or not self._points(event):
            return
        seat = self.people[0]
        fire = action_of(["fire"], dict(self.scene.positions[0].legal.get(seat, ())))
        if fire is not None and self.send({"do": "input", "seat": seat, "action": fire}):
            self._pointer, self._fired = (event.screen_x, event.screen_y), self._ply
            self._asked[seat] = fire

    def _usual(self) -> Mode:
        if self._releases:
            return "release"
        return "tap" if self.game.startswith("gridworld/sumo") else "latch"

    def _use(self, mode: Mode) -> None:
        self._let_go()
        for pad in self._pads.values():
            pad.mode = mode
        self.say(f"input {mode}: {MODES[mode]}")
        self._refresh_side()

    def action_mode(self) -> None:
        scene = self.scene
        able = [m for m in MODES if (m != "release" or self._releases) and (m != "mouse" or (scene and scene.pointer))]
        mode = self.mode
        self._use(able[(able.index(mode) + 1) % len(able)] if mode in able else able[0])

    def answered(self, event: Event | Done) -> None:
        if event.id == self._opening:
            self._asked.clear()
            self._fired = None
            for pad in self._pads.values():
                pad.clear()

    def show_opening(self) -> None:
        super().show_opening()
        names = [seat if isinstance(seat, str) else seat["human"] for seat in self.seats]
        tables = [names, *([[self.race]] if self.race is not None else [])]
        positions = [Position(self.game, 0, EMPTY, each, returns=[0.0] * len(each)) for each in tables]
        self.put(
            banner=Content.styled(f" {shorten(self.game, 40)} ", "bold"),
            players=self._players(Scene(positions, running=False, speed=1.0, rate=1.0)),
        )

    def show_side(self, scene: Scene) -> None:
        first = scene.positions[0]
        rated = "rated" if first.rated and self.people else "unrated"
        late = f" · {scene.late} late" if scene.late else ""
        words = f" {rated} · step {first.ply} · {self.clock_words(scene)}{late}"
        banner = Content.assemble((f" {shorten(self.game, 40)} ", "bold"), (words, "$text-muted"))
        ended = Content("\n\n").join(
            [
                panels.outcome(position, self.people if place == 0 else ())
                for place, position in enumerate(scene.positions)
                if position.over
            ]
        )
        self.put(banner=banner, players=self._players(scene), outcome=ended, keys=self._key_words())
        self._say_how(scene)

    def _players(self, scene: Scene) -> Content:
        """Who plays, and what each has."""
        lines = []
        for place, position in enumerate(scene.positions):
            for seat, name in enumerate(position.seats):
                you = place == 0 and seat in self.people
                style = panels.seat_style(seat + place)
                lines.append(
                    Content.assemble(
                        (f"{shorten(name, 12)}{' (you)' if you else ''}\n", style),
                        (f"{position.returns[seat]:g}", f"bold {style}"),
                        (f"  {inert(position.last.get(seat, ''))}", "$text-muted"),
                    )
                )
        return Content("\n").join(lines)

    def _key_words(self) -> Content:
        """Which key is which button, which are down, and how keys work now."""
        if not self.people or self.scene is None:
            return Content("")
        parts: list[str | tuple[str, str]] = [("input ", "$text-muted"), (str(self.mode), "bold"), "\n"]
        names = next(iter(self.scene.positions[0].legal.values()), None)
        for button in (*DIRECTIONS, "fire", STOP):
            action = action_of([button], dict(names or ()), self._knob)
            if action is None and (button != STOP or self.mode != "latch"):
                continue
            word = _WORDS.get(button, button) if action is None else dict(names or ())[action]
            keys = " ".join(format_key(keys[0]) for each, _, keys in reversed(self._keys()) if each == button)
            down = any(button in pad.down for pad in self._pads.values())
            parts += [f"{keys:7}{DOWN if down else ' '}", (f"{inert(word)}\n", "bold" if down else "$text-muted")]
        return Content.assemble(*parts)

    def _say_how(self, scene: Scene) -> None:
        if scene.over:
            new, leave = key_of(self, "new"), key_of(self, "leave")
            self.say(f"{self._headline(scene)} · {new} plays again, {leave} goes back", "bold")
        elif scene.waiting:
            self.say(" · ".join(words for words in ("a direction begins", self.size_words()) if words))
        elif not scene.running:
            pause, step, faster, slower = (key_of(self, word) for word in ("pause", "step", "faster(1)", "faster(-1)"))
            if self._said[1] != "$error":  # which says why
                self.say(f"paused · {pause} goes on · {step} one step · {faster} {slower} speed")
        elif scene.positions[0].over:
            said, faster = panels.headline(scene.positions[0], self.people), key_of(self, "faster(1)")
            self.say(f"{said} · the agent plays on; {faster} is faster", "bold")
        elif self._said[0].startswith(("a direction", "paused", "starting")) or self._said[0] in ("", self._hint):
            self.say(self.size_words())

    def _headline(self, scene: Scene) -> str:
        if len(scene.positions) == 1:
            return panels.headline(scene.positions[0], self.people)
        mine, theirs = (_score(position) for position in scene.positions)
        gave_up, rival_did = (bool(p.result and p.result.reason == "resigned") for p in scene.positions)
        if gave_up:
            verdict = "Given up"
        elif rival_did or mine > theirs:
            verdict = "You win"
        else:
            verdict = "You lose" if mine < theirs else "A tie"
        return f"{verdict}: {mine:g} against {theirs:g}"

    def action_pause(self) -> None:
        self._let_go()
        super().action_pause()

    action_watch_pause = action_pause

    def action_step(self) -> None:
        scene = self.scene
        if scene is None or scene.over:
            return
        counts = bool(self.people) and scene.positions[0].rated and not scene.positions[0].over

        def step(yes: bool | None) -> None:
            if yes:
                self.single_step()

        if counts:
            self.app.push_screen(ConfirmScreen("Step by step? The game no longer counts then."), step)
        else:
            step(True)

    def action_faster(self, change: int) -> None:
        scene = self.scene
        counts = scene is not None and bool(self.people) and scene.positions[0].rated and not scene.positions[0].over
        if scene is None or not (counts and change < 0 and scene.speed <= 1):
            super().action_faster(change)
            return

        def slower(yes: bool | None) -> None:
            if yes:
                super(RealtimePlayScreen, self).action_faster(change)

        self.app.push_screen(ConfirmScreen("Slower than it is? The game no longer counts then."), slower)

    def action_resign(self) -> None:
        if self.scene is None or self.scene.positions[0].over:
            return

        def resign(yes: bool | None) -> None:
            if yes:
                self.send({"do": "resign", "seat": self.people[0]})
                if self.race is not None:
                    self.set_clock(running=True)

        end = "The game is stored as a loss." if len(self.seats) > 1 else "The game is stored as given up, unrated."
        self.app.push_screen(ConfirmScreen(f"Give up? {end}"), resign)

    def action_race(self) -> None:
        self._find_agents()

    @work(thread=True, exclusive=True, group="agents", exit_on_error=False)
    def _find_agents(self) -> None:
        try:
            names = [name for name, _ in read_game(self.arena.db, self.game).opponents()]
        except ArenaError as error:
            self.app.call_from_thread(self.say, str(error), "$error")
            return
        self.app.call_from_thread(self._choose_rival, names)

    def _choose_rival(self, names: Sequence[str]) -> None:
        def chosen(index: int | None) -> None:
            if index is not None:
                self._ask_to_abandon("Begin anew?", lambda yes: begin(index) if yes else None)

        def begin(index: int) -> None:
            self.race = names[index - 1] if index else None
            self._begin_anew()

        self.app.push_screen(ChooseScreen("Race which agent? The same game side by side.", ["nobody", *names]), chosen)

    def _begin_anew(self) -> None:
        self.open()
        self.show_opening()

    def action_new(self) -> None:
        """The same players again, everybody one seat on."""

        def again(yes: bool | None) -> None:
            if yes:
                if self.session is not None:
                    self.seats = [*self.seats[1:], self.seats[0]]
                    self._pads = dict(zip(self.people, self._pads.values(), strict=True))
                self._begin_anew()

        self._ask_to_abandon("Begin anew?", again)

    def action_leave(self) -> None:
        self._ask_to_abandon("Leave?", lambda yes: super(RealtimePlayScreen, self).action_leave() if yes else None)

    def _ask_to_abandon(self, question: str, then: Any) -> None:
        if self.unfinished and self.session is not None:
            self.app.push_screen(ConfirmScreen(f"{question} This game is not finished and will not be kept."), then)
        else:
            then(True)


def _score(position: Position) -> float:
    return position.result.returns[0] if position.result else position.returns[0]
