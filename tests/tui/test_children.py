"""The app's spare child: used again for games of either kind, replaced where it has died."""

from __future__ import annotations

from typing import Any

from tests.tui.conftest import LocalSession
from tui.children import Children


async def test_one_child_serves_games_of_both_kinds(sessions: list[LocalSession]) -> None:
    children, first = Children(), None
    for kind in ("turns", "realtime", "turns"):
        session: Any = await children.take(kind)  # type: ignore[arg-type]
        assert session is (first or session)
        first = session
        await children.give_back(session)
    assert len(sessions) == 1
    await children.close()
    assert not sessions[0].alive


async def test_two_games_have_a_child_each_and_one_is_kept(sessions: list[LocalSession]) -> None:
    children = Children()
    both = [await children.take("turns"), await children.take("realtime")]
    for session in both:
        await children.give_back(session)
    assert [session.alive for session in sessions] == [True, False]
    await children.close()


async def test_a_spare_child_that_died_is_replaced(sessions: list[LocalSession]) -> None:
    children = Children()
    await children.give_back(await children.take("turns"))
    sessions[0].die()
    other = await children.take("turns")
    assert other.alive
    sessions[1].die()
    await children.give_back(other)
    await children.take("realtime")
    assert [session.alive for session in sessions] == [False, False, True]
    await children.close()
