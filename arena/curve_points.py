"""Gold against √KL as it is kept in the Store: what `arena rlhf curve` has measured, to be read again. No torch.

What PPO runs report of their rollouts are their own metrics; what was measured afterwards is kept beside them: of a DPO
run at its last step, of best-of-n at step n of the reward model's run (n = 1: the SFT model itself).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from arena.records import Run
from arena.store import Store

PARTS = ("kl", "gold", "proxy")
_NAME = re.compile(r"curve-(?P<method>ppo|dpo|reward)-(?P<labels>\d+)-(?:[\d.e+-]+-)?\d+")


def for_a_curve(name: str) -> bool:
    """Whether a model or annotator of this name was made for a curve: nothing else takes it unless it is named."""
    return name.startswith("curve-")


@dataclass(frozen=True)
class CurvePoint:
    """One measurement.

    Attributes:
        method: ppo, dpo, best of n, or sft. labels: the reward model's (or DPO's).
        kl: nats per completion to the SFT model. gold, proxy: mean rubric and mean reward.
        step: of PPO, in completions; 0 otherwise.
    """

    method: str
    labels: int
    kl: float
    gold: float
    proxy: float
    step: int = 0


def ppo_points(store: Store, run: Run, labels: int) -> list[CurvePoint]:
    """What a PPO run with a rubric beside it kept of its rollouts."""
    kl, gold, proxy = (dict(store.metrics(run.id, f"charts/{key}")) for key in ("kl", "gold", "reward"))
    return [
        CurvePoint("ppo", labels, kl[step], gold[step], proxy[step], step)
        for step in sorted(kl.keys() & gold.keys() & proxy.keys())
    ]


def keep_point(store: Store, run: str, step: int, kl: float, gold: float, proxy: float) -> None:
    """Keep one measurement with a run; what is there at this step stays."""
    values = dict(zip(PARTS, (kl, gold, proxy), strict=True))
    store.add_metrics(store.run(run).id, [(step, {f"curve/{part}": value for part, value in values.items()})])


def kept_curves(store: Store) -> dict[str, list[CurvePoint]]:
    """All there is: "N labels" (the fewest first) → its points; then, by name, other PPO runs with a rubric beside."""
    measured: dict[int, list[CurvePoint]] = {}
    others: dict[str, list[CurvePoint]] = {}
    for run in store.runs("text"):
        found = _NAME.fullmatch(run.name)
        if found is None:
            if run.algorithm == "rlhf" and run.config.get("gold") and (points := ppo_points(store, run, 0)):
                others[run.name] = points
            continue
        labels, method = int(found["labels"]), found["method"]
        points = ppo_points(store, run, labels) if method == "ppo" else _kept(store, run, method, labels)
        measured.setdefault(labels, []).extend(points)
    named = {f"{labels:,} labels": measured[labels] for labels in sorted(measured) if measured[labels]}
    return named | others


def _kept(store: Store, run: Run, method: str, labels: int) -> list[CurvePoint]:
    series: Mapping[str, dict[int, float]] = {part: dict(store.metrics(run.id, f"curve/{part}")) for part in PARTS}
    points = []
    for step in sorted(series["kl"]):
        name = method if method == "dpo" else "sft" if step == 1 else f"best of {step}"
        kl, gold, proxy = (series[part][step] for part in PARTS)
        points.append(CurvePoint(name, labels, kl, gold, proxy))
    return points
