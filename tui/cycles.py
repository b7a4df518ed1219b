"""What Textual has done with is gone at once: a widget that has left, styles of its parts, a cache, a worker's task.

Each of them leads back to itself, so that it would wait for a full collection of garbage, and for ever where one takes
it to stay. A part of Textual that may change: its version is pinned.
"""

from __future__ import annotations

from typing import Any

from textual._styles_cache import StylesCache
from textual.app import App
from textual.cache import FIFOCache, LRUCache
from textual.css.styles import RenderStyles
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.worker import Worker, active_worker


def _clear(cache: LRUCache[Any, Any]) -> None:
    """Textual's cache is a ring of links."""
    for link in cache._cache.values():
        link.clear()
    _clear_ring(cache)


def _release(styles: RenderStyles) -> None:
    """Let go of the node whose styles these are, which keeps them."""
    styles.base.node = styles.inline.node = None


def _style_parts(sheet: Stylesheet, node: DOMNode) -> None:
    """The parts of a widget get new nodes for their styles each time, and let go of the old ones."""
    before = list(node._component_styles.values())
    _style_parts_anew(sheet, node)
    for styles in before:
        _release(styles)


async def _leave(widget: Widget) -> None:
    """A widget that goes lets go of what was drawn of it, and of what leads back to it."""
    parts = list(widget._component_styles.values())
    await _leave_tree(widget)
    for styles in (widget.styles, *parts):
        _release(styles)
    widget._nodes._displayed_nodes = (-1, [])
    widget._layout_cache.clear()
    if isinstance(widget, Screen):
        widget._compositor.root = None
    for value in vars(widget).values():
        if isinstance(value, FIFOCache | LRUCache | StylesCache):
            value.clear()
        elif isinstance(value, Timer):
            value._callback = None


async def _work(worker: Worker[Any], app: App[Any]) -> None:
    """A worker that has ended is no longer what its task, which it keeps, takes for the one that works."""
    await _work_to_the_end(worker, app)
    active_worker.set(None)  # type: ignore[arg-type]


_clear_ring = LRUCache.clear
LRUCache.clear = _clear  # type: ignore[assignment, method-assign]
_style_parts_anew = Stylesheet._process_component_classes
Stylesheet._process_component_classes = _style_parts  # type: ignore[assignment, method-assign]
_leave_tree = Widget._message_loop_exit
Widget._message_loop_exit = _leave  # type: ignore[assignment, method-assign]
_work_to_the_end = Worker._run
Worker._run = _work  # type: ignore[assignment, method-assign]
