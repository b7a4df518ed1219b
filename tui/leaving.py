"""Widgets on their way out: a screen may be closed while it is still being built, or told something after its end.

Textual mounts nothing into a widget that is being removed, but goes on to tell it that it has been mounted, and hands
it what was sent before: whoever then looks for a part of it finds none, which would end the app.
"""

from __future__ import annotations

from textual._context import active_message_pump
from textual.app import App
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.message_pump import MessagePump


def _leaves(pump: object) -> bool:
    """Whether this is a widget that is being removed, or has been."""
    if not isinstance(pump, DOMNode) or isinstance(pump, App):
        return False
    nodes = pump.ancestors_with_self
    return not isinstance(nodes[-1], App) or any(node._pruning or node._closing for node in nodes)


def _handle_exception(app: App[object], error: Exception) -> None:
    if not (isinstance(error, NoMatches) and _leaves(active_message_pump.get(None))):
        _handle(app, error)


async def _pre_process(pump: MessagePump) -> bool:
    """Whether the widget goes on: one that leaves does, to its end."""
    return await _begin(pump) or _leaves(pump)


_handle, _begin = App._handle_exception, MessagePump._pre_process
App._handle_exception = _handle_exception  # type: ignore[assignment, method-assign]
MessagePump._pre_process = _pre_process  # type: ignore[assignment, method-assign]
