"""The Store: what goes in comes out, names are guarded, facts stay, and `check` finds what is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import sqlite3
from pathlib import Path

import pytest

from arena.records import Agent, Episode, EpisodePlayer, League, Match, PackedPolicy, Run
from arena.store import Store
from arena.store_rows import CHUNK_BYTES, MAX_RUN_NAME
from envs.errors import ArenaError, UnknownNameError, UsageError

GAME = "tic_tac_toe"
SAFETENSORS = b"\x02\0\0\0\0\0\0\0{}"


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "league.db") as store:
        yield store


def episode(agents: list[int], scores: list[float], game: str = GAME, **changes) -> Episode:
    players = tuple(EpisodePlayer(agent, 2 * s - 1, s) for agent, s in zip(agents, scores, strict=True))
    return Episode(
        **{"game": game, "version": 1, "seed": 7, "length": 3, "actions": b"\0\1\2", "chain": bytes(32)}
        | {"reason": "terminated", "players": players}
        | changes
    )


def policy(data: bytes = b"weights", size: int = 0) -> PackedPolicy:
    header = b'{"__metadata__":{"arena":"{\\"algorithm\\":\\"ppo\\",\\"config\\":{\\"gamma\\":1.0}}"}}'
    data = len(header).to_bytes(8, "little") + header + data + bytes(size)
    return PackedPolicy(hashlib.sha256(data).hexdigest(), "ppo", {"gamma": 1.0}, data)


def two(store: Store) -> tuple[int, int]:
    return store.human(GAME, "Ann").id, store.add_agent(Agent(GAME, "random", "scripted", "random"))


def execute(store: Store, *statements: str) -> None:
    """Change the file behind the Store's back, as a broken disk or a meddler would: no triggers, no foreign keys."""
    with sqlite3.connect(store.path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_match_comes_back_as_it_was_recorded(store: Store) -> None:
    ann, bot = two(store)
    first, second = episode([ann, bot], [1, 0], pair=3), episode([bot, ann], [0.5, 0.5], pair=3, leg=1, opening_plies=2)
    match = Match(GAME, "match", {"greedy": True, "opening_plies": 2, "seed": 5})
    match_id = store.add_match(match, [first, second])
    assert store.match(match_id) == dataclasses.replace(match, id=match_id, created_at=store.match(match_id).created_at)
    read = [store.episode(e.id) for e in reversed(store.episodes(GAME))]
    assert [e.match for e in read] == [match_id, match_id]
    assert [[(p.agent, p.reward, p.score, p.seat) for p in e.players] for e in read] == [
        [(ann, 1.0, 1.0, 0), (bot, -1.0, 0.0, 1)],
        [(bot, 0.0, 0.5, 0), (ann, 0.0, 0.5, 1)],
    ]
    for wrote, got in zip((first, second), read, strict=True):
        same = {"players": wrote.players, "match": 0, "id": 0, "created_at": 0}
        assert dataclasses.replace(got, **same) == wrote
    assert read == store.episodes()[::-1]
    assert store.check() == []


def test_results_follow_from_rated_games_only(store: Store) -> None:
    ann, bot = two(store)
    episodes = [
        episode([ann, bot], [1, 0]),
        episode([bot, ann], [0.5, 0.5], leg=1),
        episode([ann, bot], [1, 0], pair=1, rated=False),
        episode([ann, ann], [1, 0], pair=2),
    ]
    store.add_match(Match(GAME, "match"), episodes)
    assert [(r.agent_0, r.agent_1, r.wins, r.draws, r.losses) for r in store.pair_results(GAME)] == [
        (ann, bot, 1, 0, 0),
        (bot, ann, 0, 1, 0),
    ]
    # 16 (1 − ½) = 8 after the win; then 16 (½ − 1/(1 + 10^(−16/400))) to the favourite
    change = 16 * (0.5 - 1 / (1 + 10 ** (-16 / 400)))
    ratings = store.online_ratings(GAME)
    assert ratings[ann].rating == pytest.approx(8 + change)
    assert ratings[bot].rating == pytest.approx(-8 - change)
    assert (ratings[ann].games, ratings[bot].games) == (2, 2)
    assert store.check() == []


def test_a_game_of_three_counts_for_each_two(store: Store) -> None:
    agents = [store.human("g", name).id for name in "abc"]
    players = tuple(EpisodePlayer(agent, 0.0, score) for agent, score in zip(agents, (0.0, 0.5, 0.5), strict=True))
    store.add_match(Match("g", "match"), [episode([], [], game="g", players=players)])
    results = {(r.agent_0, r.agent_1): (r.wins, r.draws, r.losses) for r in store.pair_results("g")}
    a, b, c = agents
    assert results == {(a, b): (0, 0, 1), (a, c): (0, 0, 1), (b, c): (0, 1, 0)}
    assert [store.online_ratings("g")[agent].rating for agent in agents] == [-8.0, 4.0, 4.0]
    assert store.check() == []


def test_versions_of_the_rules_are_not_mixed(store: Store) -> None:
    ann, bot = two(store)
    store.add_match(Match(GAME, "match"), [episode([ann, bot], [1, 0])])
    store.add_match(Match(GAME, "match"), [episode([ann, bot], [0, 1], version=2)])
    assert [(r.wins, r.losses) for r in store.pair_results(GAME)] == [(0, 1)]
    assert [(r.wins, r.losses) for r in store.pair_results(GAME, version=1)] == [(1, 0)]
    assert store.online_ratings(GAME)[ann].rating == -8.0
    assert store.online_ratings(GAME, version=1)[ann].rating == 8.0


def test_scores_under_older_rules_are_not_mixed_in(store: Store) -> None:
    game = "gridworld/recycling"
    ann = store.human(game, "Ann").id
    for version, reward in ((1, 5.0), (2, 3.0)):
        players = (EpisodePlayer(ann, reward),)
        store.add_match(Match(game, "play"), [episode([], [], game=game, players=players, version=version)])
    assert [(s.best, s.episodes) for s in store.scores(game)] == [(3.0, 1)]
    assert [(s.best, s.episodes) for s in store.scores(game, version=1)] == [(5.0, 1)]
    assert store.check() == []


def test_a_league_slot_is_played_once(store: Store) -> None:
    ann, bot = two(store)
    league = store.create_league(League("main", GAME, {"size": 3}, seed=1))
    match = Match(GAME, "league", league=league, round=2, slot=5)
    first = store.add_match(match, [episode([ann, bot], [1, 0])])
    assert store.add_match(match, [episode([ann, bot], [0, 1])]) == first
    assert [(r.wins, r.losses) for r in store.pair_results(GAME)] == [(1, 0)]
    other = store.add_match(dataclasses.replace(match, slot=6), [episode([ann, bot], [0, 1])])
    assert [m.id for m in store.matches(league=league, round=2)] == [other, first]
    store.advance_league(league, 3)
    store.advance_league(league, 2)
    assert store.league("main").round == 3
    with pytest.raises(UnknownNameError, match="did you mean main"):
        store.league("mian")


def test_nothing_of_a_match_that_fails_is_kept(store: Store) -> None:
    ann, bot = two(store)
    bad = [
        [episode([ann, bot], [1, 0]), episode([ann, 99], [1, 0], leg=1)],
        [episode([ann, bot], [1, 0]), episode([ann, bot], [1, 0])],
        [episode([ann, bot], [1, 0]), episode([ann, bot], [2, 0], leg=1)],
        [episode([ann, bot], [1, 0], reason="bored")],
        [episode([ann, bot], [1, 0], players=(EpisodePlayer(ann, 1.0), EpisodePlayer(bot, 0.0)))],
        [episode([], [])],
        [],
    ]
    for episodes in bad:
        with pytest.raises(ArenaError) as raised:
            store.add_match(Match(GAME, "match"), episodes)
        assert "\n" not in str(raised.value)
    assert store.stats()["matches"] == store.stats()["episodes"] == 0
    assert store.pair_results(GAME) == []
    assert store.check() == []


@pytest.mark.parametrize("table", ["matches", "episodes", "episode_players", "metrics"])
def test_facts_cannot_be_changed(store: Store, table: str) -> None:
    ann, bot = two(store)
    store.add_match(Match(GAME, "match"), [episode([ann, bot], [1, 0])])
    run = store.create_run(Run("ppo-1", GAME, "ppo", {}, 0, 10))
    store.commit_interval(run, 1, 0.1, [(1, {"a": 1.0})])
    with sqlite3.connect(store.path) as connection:
        column = connection.execute(f"PRAGMA table_info({table})").fetchone()[1]
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    connection.close()


def test_an_agent_keeps_its_policy(store: Store) -> None:
    two(store)
    packed = policy()
    agent = store.add_agent(Agent(GAME, "ppo-1@10", "checkpoint"), packed)
    with sqlite3.connect(store.path) as connection:
        for statement in (
            "UPDATE agents SET policy = 'first-legal' WHERE name = 'random'",
            "UPDATE checkpoints SET size = 1",
            "UPDATE checkpoint_chunks SET data = x'00'",
        ):
            with pytest.raises(sqlite3.IntegrityError, match=r"never|for ever"):
                connection.execute(statement)
    connection.close()
    assert store.agent_by_id(agent).checkpoint == packed.sha256
    assert store.checkpoint(packed.sha256).config == {"gamma": 1.0}
    assert store.checkpoint_data(packed.sha256) == packed.data


def test_agents_are_listed_renamed_and_retired(store: Store) -> None:
    ann, _ = two(store)
    store.rename_agent(GAME, "random", "chance")
    store.rename_agent(GAME, "chance", "chance")
    with pytest.raises(UsageError, match="already has an agent 'Ann'"):
        store.rename_agent(GAME, "chance", "Ann")
    with pytest.raises(UnknownNameError, match="did you mean chance"):
        store.agent(GAME, "chanse")
    store.retire_agent(GAME, "chance")
    assert [a.name for a in store.agents(GAME)] == ["Ann"]
    assert [a.name for a in store.agents(GAME, retired=True)] == ["Ann", "chance"]
    assert store.agent(GAME, "chance").retired_at
    store.retire_agent(GAME, "chance", retired=False)
    assert [a.name for a in store.agents()] == ["Ann", "chance"]
    assert store.human(GAME, "Ann").id == ann
    assert store.human("connect_four", "Ann").id != ann
    with pytest.raises(UsageError, match="name of an agent"):
        store.human(GAME, "chance")
    with pytest.raises(UsageError, match="already has an agent"):
        store.add_agent(Agent(GAME, "chance", "scripted", "random"))


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "-a", "a\nb", "a\x1b[31m", "\u202eabc", "a" * 65, "latest", "ppo@latest", "a\u200bb"]
)
def test_bad_names_are_refused(store: Store, name: str) -> None:
    for act in (
        lambda: store.human(GAME, name),
        lambda: store.add_agent(Agent(GAME, name, "scripted", "random")),
        lambda: store.create_run(Run(name, GAME, "ppo", {}, 0, 1)),
        lambda: store.create_league(League(name, GAME, {}, 0)),
    ):
        with pytest.raises(UsageError, match="will not do") as raised:
            act()
        assert str(raised.value).isprintable()
    assert store.agents() == []


def test_good_names_are_taken(store: Store) -> None:
    for name in ("Ann Ö", "ppo-3@2.0M", "名人", "[bold]", "a" * 64):
        assert store.human(GAME, name).name == name
    assert store.human(GAME, "e\u0301").id == store.human(GAME, "\u00e9").id


def test_an_interval_is_all_or_nothing(store: Store) -> None:
    run = store.create_run(Run("ppo-1", GAME, "ppo", {"lr": 0.1}, 3, 100, versions={"torch": "2"}))
    agent = Agent(GAME, "ppo-1@10", "checkpoint", run=run, step=10)
    big = SAFETENSORS + bytes(CHUNK_BYTES)
    agent_id = store.commit_interval(run, 10, 1.5, [(5, {"a": 1.0}), (10, {"a": math.nan})], big, agent, policy())
    assert agent_id == store.agent(GAME, "ppo-1@latest").id
    with pytest.raises(UsageError, match="already has an agent"):
        store.commit_interval(run, 20, 2.5, [(20, {"b": 1.0})], b"new", agent, policy(b"other"))
    now = store.run("ppo-1")
    assert (now.step, now.seconds, now.state, now.versions) == (10, 1.5, "running", {"torch": "2"})
    assert store.metric_keys(run) == ["a"]
    state = store.run_state(run)
    assert state is not None
    assert (state.step, state.data) == (10, big)
    assert store.stats()["checkpoints"] == 1
    store.commit_interval(run, 20, 3.0, [(10, {"a": 9.0}), (20, {"a": 2.0})], SAFETENSORS)
    series = store.metrics(run, "a")
    assert [step for step, _ in series] == [5, 10, 20]
    assert math.isnan(series[1][1])
    assert store.stats()["run_states"] == 1
    store.finish_run(run, "failed", "out of memory")
    assert (store.run("ppo-1").state, store.run("ppo-1").error) == ("failed", "out of memory")
    store.extend_run(run, 200)
    assert (store.run("ppo-1").state, store.run("ppo-1").error, store.run("ppo-1").total_steps) == (
        "running",
        None,
        200,
    )
    with pytest.raises(UsageError, match="--resume"):
        store.create_run(Run("ppo-1", GAME, "ppo", {}, 0, 100))
    with pytest.raises(UsageError, match="no @"):
        store.create_run(Run("ppo@1", GAME, "ppo", {}, 0, 100))
    with pytest.raises(ArenaError, match="no run with the id 99"):
        store.finish_run(99)
    with pytest.raises(UnknownNameError, match="did you mean ppo-1"):
        store.run("ppo-2")


def test_a_run_leaves_room_for_its_agents_names(store: Store) -> None:
    longest = "x" * MAX_RUN_NAME
    store.create_run(Run(longest, GAME, "ppo", {}, 0, 10))
    store.add_agent(Agent(GAME, f"{longest}@{2**63 - 1}", "human"))
    with pytest.raises(UsageError, match=f"at most {MAX_RUN_NAME} characters"):
        store.create_run(Run(longest + "x", GAME, "ppo", {}, 0, 10))


def test_metrics_are_thinned_evenly_and_keep_the_last(store: Store) -> None:
    run = store.create_run(Run("ppo-1", GAME, "ppo", {}, 0, 100))
    store.commit_interval(run, 100, 1.0, [(step, {"a": float(step)}) for step in range(1, 102)])
    thinned = [step for step, _ in store.metrics(run, "a", points=10)]
    assert len(thinned) <= 10
    assert thinned[-1] == 101
    assert len({b - a for a, b in itertools.pairwise(thinned)}) == 1
    assert len(store.metrics(run, "a", points=101)) == 101
    assert store.metrics(run, "b") == []


def test_episodes_are_filtered_newest_first(store: Store) -> None:
    ann, bot = two(store)
    eve = store.human("connect_four", "Eve").id
    for n in range(5):
        store.add_match(Match(GAME, "play"), [episode([ann, bot], [1, 0], seed=n, rated=n % 2 == 0)])
    store.add_match(Match("connect_four", "play"), [episode([eve, eve], [1, 0], game="connect_four")])
    assert [e.seed for e in store.episodes(game=GAME, limit=2)] == [4, 3]
    assert [e.seed for e in store.episodes(game=GAME, rated=False)] == [3, 1]
    last = store.episodes(game=GAME, limit=2)[-1].id
    assert [e.seed for e in store.episodes(game=GAME, limit=2, before=last)] == [2, 1]
    assert [e.game for e in store.episodes(agent=eve)] == ["connect_four"]
    assert len(store.episodes(agent=bot, match=store.matches(game=GAME)[0].id)) == 1
    assert [(g.game, g.agents, g.episodes) for g in store.games()] == [("connect_four", 1, 1), (GAME, 2, 5)]
    assert store.game_names() == ["connect_four", GAME]
    with pytest.raises(UsageError, match="no episode 99"):
        store.episode(99)
    with pytest.raises(UsageError, match="no match 99"):
        store.match(99)


def test_many_episodes_are_few_queries(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.store._AT_ONCE", 2)
    ann, bot = two(store)
    seatings = [([ann, bot], [1, 0]), ([bot, ann], [0.5, 0.5])]
    played = [episode(*seatings[n % 2], pair=n) for n in range(5)]
    store.add_match(Match(GAME, "match"), played)
    asked: list[str] = []
    with store._file.exclusive() as connection:
        connection.set_trace_callback(asked.append)
    found = store.episodes()
    with store._file.exclusive() as connection:
        connection.set_trace_callback(None)
    assert [[p.agent for p in e.players] for e in found] == [[p.agent for p in e.players] for e in played[::-1]]
    assert [[p.score for p in e.players] for e in found] == [[p.score for p in e.players] for e in played[::-1]]
    assert sum(sql.startswith("SELECT") for sql in asked) == 1 + 3


def test_numbers_of_more_than_63_bits_are_no_crash(store: Store) -> None:
    for ask in (store.episode, store.match, store.pair):
        with pytest.raises(UsageError, match="at most 63 bits"):
            ask(2**63)


def test_scores_of_a_one_player_game(store: Store) -> None:
    game = "gridworld/recycling"
    ann, bob = store.human(game, "Ann").id, store.human(game, "Bob").id
    for agent, rewards in ((ann, [1.0, 11.0, 6.0]), (bob, [7.0])):
        players = [(EpisodePlayer(agent, reward),) for reward in rewards]
        runs = [episode([], [], game=game, players=p, pair=n) for n, p in enumerate(players)]
        store.add_match(Match(game, "evaluation"), runs)
    unrated = episode([], [], game=game, players=(EpisodePlayer(bob, 99.0),), rated=False)
    store.add_match(Match(game, "play"), [unrated])
    store.add_match(Match(GAME, "match"), [episode(list(two(store)), [1, 0])])
    top, other = store.scores(game)
    assert (top.agent, top.mean, top.std, top.episodes) == (bob, 7.0, 0.0, 1)
    assert (other.agent, other.mean, other.best, other.mean_length) == (ann, 6.0, 11.0, 3.0)
    assert other.std == pytest.approx(math.sqrt(50 / 3))
    assert store.pair_results(game) == []
    assert store.online_ratings(game) == {}
    assert store.scores(GAME) == []
    assert store.check() == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM score_totals", "None instead of (2, 7.0, 29.0, 5.0, 6)"),
        ("UPDATE score_totals SET rewards = 8", "(2, 8.0, 29.0, 5.0, 6) instead of (2, 7.0, 29.0, 5.0, 6)"),
        ("UPDATE score_totals SET version = 2", "instead of None"),
    ],
)
def test_check_finds_wrong_score_totals(store: Store, statement: str, words: str) -> None:
    game = "gridworld/recycling"
    ann = store.human(game, "Ann").id
    players = [(EpisodePlayer(ann, reward),) for reward in (2.0, 5.0)]
    runs = [episode([], [], game=game, players=p, pair=n) for n, p in enumerate(players)]
    store.add_match(Match(game, "evaluation"), runs)
    assert store.check() == []
    execute(store, statement)
    assert any(words in problem for problem in store.check())


def test_settings(store: Store) -> None:
    assert store.setting("name") is None
    assert store.setting("name", "nobody") == "nobody"
    store.set_setting("name", "Ann")
    store.set_setting("name", "Bob")
    assert store.setting("name") == "Bob"


def test_a_tampered_checkpoint_is_named(store: Store) -> None:
    packed = policy(size=CHUNK_BYTES)
    store.add_agent(Agent(GAME, "ppo-1@10", "checkpoint"), packed)
    assert store.checkpoint_data(packed.sha256) == packed.data
    execute(store, "UPDATE checkpoint_chunks SET data = zeroblob(length(data)) WHERE position = 0")
    with pytest.raises(ArenaError, match=f"checkpoint {packed.sha256} is corrupt"):
        store.checkpoint_data(packed.sha256)
    assert [line.partition(" its ")[0] for line in store.check()] == [f"checkpoint {packed.sha256} is corrupt:"]
    with pytest.raises(ArenaError, match="no checkpoint 00"):
        store.checkpoint("00")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM episode_players WHERE seat = 1", "1 players instead of 2"),
        ("DELETE FROM episode_players WHERE seat = 0", "1 players instead of 2"),
        ("DELETE FROM episodes", "has no episodes"),
        ("UPDATE episodes SET actions = x'0001'", "2 bytes of actions for 3 steps"),
        ("UPDATE episodes SET actions = x'000102000102'", None),
        ("UPDATE episodes SET length = 4", "bytes of hash chain for 4 steps"),
        ("UPDATE episodes SET game = 'connect_four'", "not its match's"),
        ("UPDATE pair_results SET wins = 5", "pair_results ('tic_tac_toe', 1, 1, 2): [5, 0, 0] instead of [1, 0, 0]"),
        ("DELETE FROM pair_results", "None instead of [1, 0, 0]"),
        ("UPDATE online_ratings SET rating = 9 WHERE agent = 1", "9.000 after 1 games instead of 8.000 after 1"),
        ("DELETE FROM online_ratings WHERE agent = 2", "instead of -8.000 after 1"),
        ("UPDATE episode_players SET agent = 99 WHERE seat = 0", "does not exist"),
        ("UPDATE episode_players SET score = NULL", "has no score"),
        ("DELETE FROM checkpoint_chunks WHERE position = 0", "a chunk is missing"),
        ("DELETE FROM checkpoint_chunks WHERE position = 1", "bytes instead of"),
        ("UPDATE checkpoints SET config = '{}'", "not those in its bytes"),
        ("UPDATE run_states SET data = x'00'", "resume state is unreadable"),
        ("UPDATE run_states SET position = 1", "a chunk of its resume state is missing"),
        ("DELETE FROM agents WHERE name = 'random'", "does not exist"),
    ],
)
def test_check_finds(store: Store, statement: str, words: str | None) -> None:
    ann, bot = two(store)
    store.add_match(Match(GAME, "match"), [episode([ann, bot], [1, 0])])
    store.add_agent(Agent(GAME, "ppo-1@10", "checkpoint"), policy(size=CHUNK_BYTES))
    run = store.create_run(Run("ppo-1", GAME, "ppo", {}, 0, 10))
    store.commit_interval(run, 1, 0.1, state=SAFETENSORS)
    assert store.check() == []
    execute(store, statement)
    problems = store.check()
    assert all("\n" not in problem for problem in problems)
    assert any(words in problem for problem in problems) if words else problems == []


def test_gc_drops_what_nothing_names(store: Store) -> None:
    kept, lost = policy(b"kept"), policy(b"lost", size=CHUNK_BYTES)
    store.add_agent(Agent(GAME, "ppo-1@10", "checkpoint"), kept)
    store.add_checkpoint(lost)
    runs = [store.create_run(Run(f"ppo-{n}", GAME, "ppo", {}, 0, 10)) for n in range(2)]
    sidecars = store.path.with_name("league.db.runs")
    sidecars.mkdir()
    for run in runs:
        store.commit_interval(run, 1, 0.1, state=SAFETENSORS + bytes(CHUNK_BYTES))
        (sidecars / f"run-{run}-1.safetensors").touch()
    store.finish_run(runs[0])
    store.finish_run(runs[1], "stopped")
    dropped = store.gc()
    assert {name: dropped[name] for name in ("checkpoints", "states", "sidecars")} == {
        "checkpoints": 1,
        "states": 1,
        "sidecars": 1,
    }
    assert dropped["bytes"] > CHUNK_BYTES
    assert store.checkpoint_data(kept.sha256) == kept.data
    assert store.run_state(runs[0]) is None
    assert store.run_state(runs[1]) is not None
    assert [path.name for path in sidecars.iterdir()] == [f"run-{runs[1]}-1.safetensors"]
    assert set(store.gc().values()) == {0}


def test_a_backup_is_whole_and_never_overwrites(store: Store, tmp_path: Path) -> None:
    ann, bot = two(store)
    store.add_match(Match(GAME, "match"), [episode([ann, bot], [1, 0])])
    copy = tmp_path / "copy.db"
    store.backup(copy)
    with Store(copy, create=False) as backup:
        assert backup.episodes() == store.episodes()
        assert backup.check() == []
    before = copy.read_bytes()
    with pytest.raises(UsageError, match="never overwrites"):
        store.backup(copy)
    assert copy.read_bytes() == before
    with pytest.raises(UsageError, match="make it first"):
        store.backup(tmp_path / "nowhere" / "copy.db")
    assert not list(tmp_path.glob("*.partial*"))
