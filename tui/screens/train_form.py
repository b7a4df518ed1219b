"""The form that starts a training: made from the algorithm's config, checked while it is filled in."""

from __future__ import annotations

import dataclasses
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.coordinate import Coordinate
from textual.message import Message
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import DataTable, Input, Static

from agents.configs import Config, default_config, default_steps
from arena.config import apply_sets
from arena.store_rows import valid_run_name
from envs.errors import ArenaError, UnknownNameError
from envs.specs import parse_variant
from tui.facts import known_games
from tui.run_facts import algorithms, new_name
from tui.text import inert, shorten
from tui.widgets.fact_table import FactTable
from tui.widgets.key_bar import KeyBar
from tui.widgets.tables import fill

if TYPE_CHECKING:
    from tui.app import ArenaApp


@dataclass
class Field:
    """A line of the form. `default` is given for settings of the algorithm alone, `choices` where there are few."""

    name: str
    value: str
    help: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    problem: str = ""

    @property
    def changed(self) -> bool:
        return self.default is not None and self.value.strip() != self.default


class NameFound(Message):
    """A name for the run that is free."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


MOVES = {"down": 1, "tab": 1, "enter": 1, "up": -1, "shift+tab": -1, "pagedown": 10, "pageup": -10}


class Line(Input):
    """The line of input. It handles the keys that leave a field itself, after all that was typed before them."""

    async def _on_key(self, event: events.Key) -> None:
        form = cast("TrainForm", self.screen)
        if event.key in MOVES:
            form.action_next(MOVES[event.key])
        elif event.key == "ctrl+s":
            form.action_start()
        elif event.key == "space" and form.field.choices:
            form.turn()
        else:
            return
        event.stop()
        event.prevent_default()


class TrainForm(Screen[tuple[str, list[str]] | None]):
    """Answers (the run's name, the words of the command after `arena`), or None.

    The focus stays in one line of input, which edits the field that the cursor of the table is on.
    """

    CSS_PATH = "train_form.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,tab,enter", "next(1)", "Next", id="form.next", key_display="↓"),
        Binding("up,shift+tab", "next(-1)", "Before", id="form.before", key_display="↑"),
        Binding("pagedown", "next(10)", "Ten on", show=False, id="form.page_down"),
        Binding("pageup", "next(-10)", "Ten back", show=False, id="form.page_up"),
        Binding("ctrl+s,f10", "start", "Start", id="form.start", key_display="^s"),
        Binding(
            "ctrl+r", "reset", "Presets", id="form.reset", priority=True, tooltip="all settings as the game has them"
        ),
        Binding("escape", "dismiss(None)", "Cancel", id="form.cancel"),
    ]

    def __init__(self, game: str) -> None:
        super().__init__()
        self._game = game
        self._algorithm = algorithms(game)[0]
        self._config: Config = default_config(self._algorithm, game)
        self._named = False
        self._editing = "game"
        self.fields: dict[str, Field] = {}
        for field in (
            Field("game", game, "with its options, such as gridworld/maze?size=9"),
            Field("algorithm", self._algorithm, "how it learns; space goes through them"),
            Field("name", "", "the run's name; its agents are NAME@STEPS"),
            Field("steps", "", "environment steps in all, 1e6 or 200_000; empty: what fits into the minutes"),
            Field("minutes", "", "how long to train at most; empty: until the steps are done"),
            Field("seed", "0", "where all chance comes from"),
            Field("device", "auto", "auto, cpu, cuda, cuda:1 …", choices=("auto", "cpu", "cuda")),
            Field("threads", "1", "of a network on the CPU; more pay for wide ones and pixels; 0: one per core"),
            Field("opponents", "", "agents to learn against besides itself, separated by commas"),
        ):
            self.fields[field.name] = field
        self._offer()

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    @property
    def field(self) -> Field:
        """The one under the cursor."""
        row = self.query_one(DataTable).cursor_row
        return list(self.fields.values())[max(0, min(row, len(self.fields) - 1))]

    def compose(self) -> ComposeResult:
        yield Static(Content.assemble((" New training ", "bold $background on $primary")), id="banner")
        table = FactTable(id="fields", cursor_type="row", show_header=False)
        table.can_focus = False
        yield table
        with Horizontal(id="edit"):
            yield Static(id="label")
            yield Line(self._game, id="value", compact=True, max_length=200)
        yield Static(id="problem")
        yield Static(id="command")
        yield KeyBar()

    def on_mount(self) -> None:
        self._fill()
        self.query_one(Input).focus()
        self._find_name()

    def on_resize(self, event: events.Resize) -> None:
        self._fill()

    def _offer(self) -> None:
        """The algorithm's settings with the values that suit the game, and its usual number of steps."""
        self._config = default_config(self._algorithm, self._game)
        self.fields["algorithm"].choices = tuple(algorithms(self._game))
        self.fields["steps"].value = f"{default_steps(self._algorithm, self._game):_}"
        own = list(self.fields.values())[: list(self.fields).index("opponents") + 1]
        self.fields = {field.name: field for field in [*own, *_settings(self._config)]}

    def _fill(self) -> None:
        name, value = 24, 18
        columns = [("", name), ("", value), ("", max(10, self.size.width - name - value - 8))]
        fill(self.query_one(DataTable), columns, [(field.name, self._cells(field)) for field in self.fields.values()])
        self._edit()

    def _cells(self, field: Field) -> list[Text]:
        style = "bold reverse" if field.problem else "bold" if field.changed else ""
        mark = "✗ " if field.problem else "● " if field.changed else "  "
        help = shorten(field.help, max(10, self.size.width - 50))
        return [Text(mark + field.name, style), Text(shorten(field.value, 18), style), Text(help, "dim")]

    @work(thread=True, exclusive=True, group="name", exit_on_error=False)
    def _find_name(self) -> None:
        arena, algorithm = self.arena, self._algorithm
        try:
            self.post_message(NameFound(new_name(arena.db, algorithm, arena.jobs)))
        except ArenaError:
            self.post_message(NameFound(algorithm))

    def on_name_found(self, message: NameFound) -> None:
        if not self._named:
            self.put("name", message.name)
            self._named = False

    @on(DataTable.RowHighlighted)
    def _edit(self) -> None:
        """Bring the field under the cursor into the line of input."""
        self._take()
        field, line = self.field, self.query_one(Input)
        self.query_one("#label", Static).update(Content(f"{field.name} ="))
        if field.name != self._editing or line.value != field.value:
            self._editing = field.name
            with line.prevent(Input.Changed):
                line.value = field.value
            line.select_all()
        games = known_games(self.arena.league.games)
        suggested = games if field.name == "game" else field.choices
        line.suggester = SuggestFromList(suggested) if suggested else None
        self._tell()

    @on(Input.Changed)
    def _take(self) -> None:
        """Put what stands in the line into its field."""
        typed = self.query_one(Input).value
        if self._editing in self.fields and typed != self.fields[self._editing].value:
            self._put(self._editing, typed)

    def put(self, name: str, value: str) -> None:
        """Give a field a value, as if it had been typed."""
        self._put(name, value)
        line = self.query_one(Input)
        if name == self._editing and line.value != value:
            with line.prevent(Input.Changed):
                line.value = value

    def turn(self) -> None:
        """The next one of a field's choices."""
        field = self.field
        at = field.choices.index(field.value) if field.value in field.choices else -1
        self.put(field.name, field.choices[(at + 1) % len(field.choices)])

    def _put(self, name: str, value: str) -> None:
        """Give a field a value; another game or algorithm brings other settings."""
        field = self.fields[name]
        field.value = value
        self._named = self._named or name == "name"
        self._check(field)
        if not field.problem and name in ("game", "algorithm"):
            self._choose(str(parse_variant(self.fields["game"].value)), self.fields["algorithm"].value)
        if name == "minutes":
            self._check(self.fields["steps"])
        table = self.query_one(DataTable)
        for one in {name, "steps"}:
            row = list(self.fields).index(one)
            for column, cell in enumerate(self._cells(self.fields[one])):
                table.update_cell_at(Coordinate(row, column), cell)
        self._tell()

    def _choose(self, game: str, algorithm: str) -> None:
        if (game, algorithm) == (self._game, self._algorithm):
            return
        found = algorithms(game)
        self._game, self._algorithm = game, algorithm if algorithm in found else found[0]
        self.fields["algorithm"].value = self._algorithm
        self._offer()
        self._fill()
        self._find_name()

    def on_click(self, event: events.Click) -> None:
        self.query_one(Input).focus()

    def _check(self, field: Field) -> None:
        """See what is wrong with a field, if anything is."""
        try:
            self._validate(field)
            field.problem = ""
        except ArenaError as error:
            field.problem = str(error)

    def _validate(self, field: Field) -> None:
        """Raises UsageError."""
        text, name = field.value.strip(), field.name
        if field.default is not None:
            apply_sets(self._config, [f"{name}={text}"])
        elif name == "game":
            algorithms(str(parse_variant(text)))
        elif name == "algorithm" and text not in field.choices:
            raise UnknownNameError(f"algorithm for {self._game}", text, field.choices)
        elif name == "name":
            valid_run_name(text)
        elif name == "steps":
            _need(bool(text or self.fields["minutes"].value.strip()), "say how many steps or how many minutes")
            _need(not text or (_number(text) or 0) >= 1, f"steps is a whole number of at least 1, not {text!r}")
        elif name == "minutes":
            _need(not text or (_number(text) or 0) > 0, f"minutes is a number above 0, not {text!r}")
        elif name == "seed":
            _need(text.isascii() and text.isdigit(), f"seed is a whole number from 0 on, not {text!r}")
        elif name == "device":
            _need(
                text.partition(":")[0] in ("auto", "cpu", "cuda", "mps"),
                f"device is auto, cpu, cuda or mps, not {text!r}",
            )
        elif name == "threads":
            most = os.cpu_count() or 1
            _need(
                text.isascii() and text.isdigit() and int(text) <= most,
                f"threads is a number of 0 to {most}, not {text!r}",
            )

    @property
    def problem(self) -> str:
        """What keeps the training from being started, or ""; that of the field under the cursor comes first."""
        problems = [self.field.problem, *(field.problem for field in self.fields.values())]
        if any(problems):
            return next(filter(None, problems))
        try:
            apply_sets(self._config, self._sets())
        except ArenaError as error:
            return str(error)
        return ""

    def _tell(self) -> None:
        """Say what is wrong, or what the field is, and which command this makes."""
        problem, field = self.problem, self.field
        words = f"✗ {problem}" if problem else f"{field.name}: {field.help}"
        self.query_one("#problem", Static).update(Content.styled(inert(words), "$error" if problem else ""))
        self.query_one("#command", Static).update(Content(inert(f"arena {shlex.join(self._command())}")))

    def _sets(self) -> list[str]:
        return [f"{field.name}={field.value.strip()}" for field in self.fields.values() if field.changed]

    def _command(self) -> list[str]:
        said = {name: field.value.strip() for name, field in self.fields.items()}
        words = ["train", self._game, "--algo", self._algorithm, "--name", said["name"]]
        if steps := _number(said["steps"]):
            words += ["--steps", str(int(steps))]
        for name, usual in (("minutes", ""), ("seed", "0"), ("device", "auto"), ("threads", "1")):
            words += [f"--{name}", said[name]] if said[name] != usual else []
        for agent in said["opponents"].split(","):
            words += ["--opponent", agent.strip()] if agent.strip() else []
        for pair in self._sets():
            words += ["--set", pair]
        return words

    def action_next(self, change: int) -> None:
        table = self.query_one(DataTable)
        self._take()
        table.move_cursor(row=max(0, min(len(self.fields) - 1, table.cursor_row + change)))
        self._edit()

    def action_reset(self) -> None:
        for field in self.fields.values():
            if field.default is not None:
                field.value, field.problem = field.default, ""
        line = self.query_one(Input)
        with line.prevent(Input.Changed):
            line.value = self.fields[self._editing].value
        self._fill()

    def action_start(self) -> None:
        self._take()
        if self.problem:  # which is told below the table
            wrong = [row for row, field in enumerate(self.fields.values()) if field.problem]
            if wrong and not self.field.problem:
                self.query_one(DataTable).move_cursor(row=wrong[0])
                self._edit()
            return
        self.dismiss((self.fields["name"].value.strip(), self._command()))


def _settings(config: Config) -> list[Field]:
    """A field for each setting: its value for the game, what it is, its range, and its usual value if that differs."""
    fields = []
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        low, high = f.metadata["min"], f.metadata["max"]
        choices = f.metadata["choices"] or (("true", "false") if isinstance(value, bool) else ())
        span = " | ".join(choices)
        if low is not None or high is not None:
            span = f"{low:g} …{'' if high is None else f' {high:g}'}"
        usual = "" if value == f.default else f"usually {_text(f.default)}"
        notes = "; ".join(filter(None, (span, usual)))
        help = f"{f.metadata['help']}{f' ({notes})' if notes else ''}"
        fields.append(Field(f.name, _text(value), help, _text(value), tuple(choices)))
    return fields


def _text(value: Any) -> str:
    """A setting's value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _need(holds: bool, problem: str) -> None:
    if not holds:
        raise ArenaError(problem)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) < 1e15 else None
