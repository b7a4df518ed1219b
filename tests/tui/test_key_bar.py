"""The line of keys at the bottom."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType

from tests.tui.conftest import sees, shown, until
from tui.widgets.key_bar import KeyBar


class Keys(App[None]):
    """Five keys, one of which does nothing at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "do('a')", "Apple"),
        Binding("b", "do('b')", "Banana", tooltip="yellow"),
        Binding("c", "do('c')", "Cherry"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("d", "do('d')", "Date"),
        Binding("e", "do('e')", "Elder", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.able = False
        self.done: list[str] = []

    def compose(self) -> ComposeResult:
        yield KeyBar()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.able if parameters == ("c",) else True

    def action_do(self, name: str) -> None:
        self.done.append(name)

    def action_help(self) -> None:
        self.done.append("help")


async def test_keys_are_named_pressed_and_kept_to_the_width() -> None:
    app = Keys()
    async with app.run_test(size=(60, 5)) as pilot:
        await sees(pilot, "a Apple b Banana ? Help d Date")
        line = shown(app).splitlines()[-1]
        assert "Cherry" not in line
        assert "Elder" not in line
        app.able = True
        app.screen.refresh_bindings()
        await sees(pilot, "a Apple b Banana c Cherry ? Help d Date")
        await pilot.click(KeyBar, offset=(shown(app).splitlines()[-1].index("Banana"), 0))
        await until(pilot, lambda: app.done == ["b"])
        await pilot.click(KeyBar, offset=(55, 0))
        bar = app.query_one(KeyBar)
        await pilot.hover(KeyBar, offset=(9, 0))
        await until(pilot, lambda: bar.tooltip == "yellow")
        await pilot.resize_terminal(24, 5)
        await sees(pilot, "a Apple b Banana ? Help")
        assert bar.left_out == ["Date", "Cherry"]
        await pilot.press("c")
        await until(pilot, lambda: app.done == ["b", "c"])
