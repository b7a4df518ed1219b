"""BoardView: any game's Drawing, with a cursor over the legal moves, direct keys and mouse targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.theme import Theme

from envs.rendering import Box, Drawing
from tui.text import inert
from tui.theme import style_of

ARROWS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
EMPTY = Drawing([])


class BoardView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws a Drawing and its caption in the middle of its space (it scrolls) and says which legal move is chosen.

    Arrow keys move the cursor between the legal moves' targets unless the game itself has arrow keys; a game's own
    keys, Enter and the mouse choose. In games of pieces one chooses a piece first, then where it goes; Escape or a
    click elsewhere lets go of it. Where nothing is legal, keys pass through.
    """

    @dataclass
    class Chosen(Message):
        """A legal action was chosen by key or mouse."""

        action: int

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.drawing = EMPTY
        self.legal: Mapping[int, str] = {}
        self.cursor: int | None = None
        self.hinted: int | None = None
        self.picked: Box | None = None
        self._places: Mapping[int, Sequence[Box]] = {}
        self._width = self._height = 0
        self._spot: tuple[float, float] | None = None

    def show(self, drawing: Drawing, legal: Mapping[int, str] | None = None) -> None:
        """Draw this, with these legal actions (action → name); a hint is gone with the position it was for."""
        self.drawing = drawing
        self.legal = legal or {}
        self.hinted = None
        self._pick(None)
        self._width = max((sum(len(inert(text)) for text, _ in line) for line in drawing.lines), default=0)
        self._height = len(drawing.lines) + 2 * bool(drawing.caption)
        if self.virtual_size != (size := Size(self._width, self._height)):
            self.virtual_size = size
            self.call_after_refresh(self._show_the_middle)
        if not self.uses_cursor:
            self.cursor = None
        elif self.cursor not in self._places:
            self._put_cursor(self._nearest_to_cursor())
        self.refresh()

    def _pick(self, piece: Box | None) -> None:
        """Find what can be chosen now: legal action → its boxes; of a piece that can be picked one of its actions."""
        self.picked, drawing = piece, self.drawing
        able = [action for action in self.legal if action in drawing.targets]
        if drawing.origins and piece is None:
            pieces = {drawing.origins[action]: action for action in reversed(able)}
            self._places = {action: [box] for box, action in pieces.items()}
        else:
            able = [action for action in able if drawing.origins.get(action) == piece]
            self._places = {action: drawing.targets[action] for action in able}

    def _choose(self, action: int) -> None:
        """Of a piece: pick it up; else this is the move."""
        if self.drawing.origins and self.picked is None:
            self.pick(self.drawing.origins[action])
        else:
            self.post_message(self.Chosen(action))

    def pick(self, piece: Box | None) -> None:
        """Go on to where the piece there may go; None: let go of it."""
        if self.picked is not None:
            self._spot = _middle(self.picked)
        self._pick(piece)
        self._put_cursor(self._nearest_to_cursor())

    def _show_the_middle(self) -> None:
        """Of a drawing that is larger than its space, unless a cursor says where to look."""
        if self.cursor is None:
            x, y = self._width - self.size.width, self._height - self.size.height
            self.scroll_to(max(0, x) // 2, max(0, y) // 2, animate=False)

    def hint(self, action: int) -> None:
        """Mark a move, and put the cursor there."""
        self.hinted = action
        if self.uses_cursor:
            self._pick(self.drawing.origins.get(action))
            self._put_cursor(action if action in self._places else self._nearest_to_cursor())
        self.refresh()

    @property
    def uses_cursor(self) -> bool:
        """Whether arrows move a cursor: they do unless they are moves of the game."""
        keys = {key for action in self.legal for key in self.drawing.keys.get(action, ())}
        return bool(self._places) and not keys & ARROWS.keys()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, top = self._origin()
        scroll_x, scroll_y = self.scroll_offset
        row = y + scroll_y - top
        base = self.rich_style
        theme = self.app.current_theme
        if row == self._height - 1 and self.drawing.caption:
            caption = Segment(
                inert(self.drawing.caption).center(width)[:width], style_of("legal", theme.name, theme.dark)
            )
            return Strip([caption]).apply_style(base)
        if not 0 <= row < len(self.drawing.lines):
            return Strip.blank(width, base)
        strip = self._strip(row, theme, "")
        marks: list[tuple[Sequence[Box], str]] = []
        if self.cursor is not None:
            marks.append((self._places.get(self.cursor, ()), "cursor"))
        if self.hinted is not None:
            marks.append((self.drawing.targets.get(self.hinted, ()), "hint"))
        if self.picked is not None:
            marks.append(([self.picked], "hint"))
        for boxes, look in marks:
            for x, box_y, box_width, box_height in boxes:
                if box_y <= row < box_y + box_height:
                    marked = self._strip(row, theme, look)
                    end = min(x + box_width, strip.cell_length)
                    pieces = (strip.crop(0, x), marked.crop(x, end), strip.crop(end, strip.cell_length))
                    strip = Strip.join([piece for piece in pieces if piece.cell_length])
        strip = Strip.join([Strip.blank(left), strip]) if left else strip
        return strip.crop_extend(scroll_x, scroll_x + width, base).apply_style(base)

    def _strip(self, row: int, theme: Theme, look: str) -> Strip:
        """One line of the drawing; `look` is laid over everything but grid lines and labels."""
        over = style_of(look, theme.name, theme.dark)
        styled = ((text, style, style_of(style, theme.name, theme.dark)) for text, style in self.drawing.lines[row])
        return Strip(
            Segment(inert(text), own + over if look and style != "dim" else own) for text, style, own in styled
        )

    def _origin(self) -> tuple[int, int]:
        """Where the drawing's top left corner is, in the widget, while nothing is scrolled."""
        return max(0, (self.size.width - self._width) // 2), max(0, (self.size.height - self._height) // 2)

    def _action_at(self, event: events.MouseEvent) -> int | None:
        left, top = self._origin()
        x, y = event.x - left + self.scroll_offset.x, event.y - top + self.scroll_offset.y
        for action, boxes in self._places.items():
            for bx, by, width, height in boxes:
                if bx <= x < bx + width and by <= y < by + height:
                    return action
        return None

    def _centre(self, action: int) -> tuple[float, float]:
        return _middle(self._places[action][0])

    def _nearest_to_cursor(self) -> int | None:
        """The legal target nearest to where the cursor was (or to the middle)."""
        x, y = self._spot or (self._width / 2, len(self.drawing.lines))
        return min(
            self._places, key=lambda a: (self._centre(a)[0] - x) ** 2 + (self._centre(a)[1] - y) ** 2, default=None
        )

    def _put_cursor(self, action: int | None) -> None:
        self.cursor = action
        if action is not None and action in self._places:
            self._spot = self._centre(action)
        self.refresh()

    def _move_cursor(self, dx: int, dy: int) -> None:
        """To the nearest legal target in this direction; sideways distance counts double."""
        if self.cursor is None:
            self._put_cursor(self._nearest_to_cursor())
            return
        x, y = self._centre(self.cursor)
        best: tuple[float, int] | None = None
        for action in self._places:
            if action == self.cursor:
                continue
            ax, ay = self._centre(action)
            ahead = (ax - x) * dx + (ay - y) * dy
            aside = abs(ax - x) if dx == 0 else abs(ay - y)
            if ahead > 0 and (best is None or ahead + 2 * aside < best[0]):
                best = (ahead + 2 * aside, action)
        if best:
            self._put_cursor(best[1])
            left, top = self._origin()
            bx, by, width, height = self._places[best[1]][0]
            self.scroll_to_region(Region(bx + left, by + top, width, height), animate=False)

    def on_key(self, event: events.Key) -> None:
        if not self.legal:
            return
        for action in self.legal:
            keys = self.drawing.keys.get(action, ())
            if event.key in keys or (event.character and event.character in keys):
                event.stop()
                self.post_message(self.Chosen(action))
                return
        if event.key in ARROWS and self.uses_cursor:
            event.stop()
            self._move_cursor(*ARROWS[event.key])
        elif event.key in ("enter", "space") and self.cursor is not None:
            event.stop()
            self._choose(self.cursor)
        elif event.key == "escape" and self.picked is not None:
            event.stop()
            self.pick(None)

    def on_click(self, event: events.Click) -> None:
        action = self._action_at(event)
        if action is None and self.picked is not None:
            self.pick(None)  # another piece may stand there
            action = self._action_at(event)
        if action is not None:
            self._choose(action)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        action = self._action_at(event)
        if action is not None and self.uses_cursor and action != self.cursor:
            self._put_cursor(action)


def _middle(box: Box) -> tuple[float, float]:
    """Of a box, in widths of a cell, which is twice as high as wide."""
    x, y, width, height = box
    return x + width / 2, 2 * (y + height / 2)
