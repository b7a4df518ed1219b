"""How `arena rlhf` prints a reward model's report."""

from __future__ import annotations

from typing import Any

from arena.cli.output import clean, number, print_table, say


def print_reward(name: str, report: dict[str, Any]) -> None:
    """A reward model's figures, its reliability, its warnings."""
    rows = [
        ("labels learnt from", f"{report['labels']:,}"),
        ("labels held out", f"{report['held_out']:,}, {report.get('ties', 0)} of them ties"),
        ("accuracy", accuracy(report)),
        ("agreement ceiling", f"{number(report['ceiling'], 3)} (from {report['ceiling_basis'] or 'nothing yet'})"),
        ("share of the ceiling", number(report.get("share_of_ceiling"), 3)),
        ("log-loss", f"{number(report.get('log_loss'), 3)} nats (a coin: 0.693)"),
        ("calibration error", number(report.get("ece"), 3)),
        ("reward and length", f"correlation {number(report['length_correlation'], 2)}"),
        ("length alone", f"right on {number(report.get('longer_rule'), 3)} of them"),
    ]
    print_table(("reward model", clean(name)), rows, "", left=1)
    bins = report.get("bins", [])
    print()
    print_table(
        ("it says", "labels", "mean", "came true"),
        [
            (f"{b['low']:.0%}–{b['high']:.0%}", b["count"], f"{b['predicted']:.0%}", f"{b['observed']:.0%}")
            for b in bins
        ],
        "no labels were held out",
    )
    for line in report["warnings"]:
        say(f"warning: {clean(str(line))}")


def accuracy(report: dict[str, Any]) -> str:
    """Such as 0.836 (0.717–0.911), with the 95 % interval where it is known."""
    interval = (report.get(key) for key in ("accuracy_low", "accuracy_high"))
    low, high = (number(value, 3) if value is not None else "" for value in interval)
    return number(report.get("accuracy"), 3) + (f" ({low}–{high})" if low else "")
