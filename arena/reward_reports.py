"""What a reward model is worth: how it fits labels it has not seen, beside what the annotators agree on themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents import calibration
from agents.reward_model import Comparison, RewardModel
from arena.agreement import Report, report, wilson
from arena.comparisons import Gathered
from arena.records_text import LabelledPair

FEW_LABELS, FEW_HELD_OUT = 200, 30
FEW_REPEATS, CONSISTENT = 10, 0.7
LENGTH_RULE = 0.6


def held_out_report(
    rewarder: RewardModel,
    found: Gathered,
    learnt: Sequence[Comparison],
    held_out: Sequence[Comparison],
    labels: Sequence[LabelledPair],
) -> dict[str, Any]:
    """Figures as plain values, and `warnings`: sentences for a person.

    Keys: labels, held_out, accuracy (ties left out; accuracy_low, accuracy_high: Wilson's 95 % interval), ceiling,
    share_of_ceiling, log_loss, brier, ece, bins, learnt_accuracy, length_correlation (of reward and words),
    longer_preferred (share of decided labels), longer_rule (accuracy on held-out labels of the better of "the longer
    one" and "the shorter one"), ensemble_spread.
    """
    rewards = rewarder.scores(found.sequences).double().cpu().numpy()
    reward = rewards.mean(1)
    words = np.array([len(text.split()) for _, text in found.texts], dtype=float)
    agreement = report(labels)
    log_odds = reward * rewarder.scale
    learnt_fit = calibration.fit(*_arrays(learnt, log_odds))
    values: dict[str, Any] = {
        "labels": len(learnt),
        "held_out": len(held_out),
        "learnt_accuracy": learnt_fit.accuracy,
        "ceiling": agreement.ceiling,
        "ceiling_basis": agreement.ceiling_basis,
        "length_correlation": calibration.correlation(reward, words),
        "ensemble_spread": float(rewards.std(1).mean()),
        "longer_preferred": calibration.accuracy(*_arrays([*learnt, *held_out], words)),
    }
    if held_out:
        fit = calibration.fit(*_arrays(held_out, log_odds))
        longer = calibration.accuracy(*_arrays(held_out, words))
        values |= dataclasses.asdict(fit) | {"longer_rule": max(longer, 1 - longer)}
        values["bins"] = [dataclasses.asdict(each) for each in fit.bins]
        if decided := fit.comparisons - fit.ties:
            share = wilson(round(fit.accuracy * decided), decided)
            values |= {"accuracy_low": share.low, "accuracy_high": share.high}
        if agreement.ceiling:
            values["share_of_ceiling"] = fit.accuracy / agreement.ceiling
    values["warnings"] = warnings(values, agreement)
    return values


def warnings(values: dict[str, Any], agreement: Report) -> list[str]:
    """What a person should know before trusting the model."""
    found = []
    if values["labels"] < FEW_LABELS or values["held_out"] < FEW_HELD_OUT:
        found.append(
            f"{values['labels']} labels to learn from and {values['held_out']} held out are few: "
            "the figures are rough; label more"
        )
    for annotator in agreement.annotators:
        share = annotator.consistency
        if share.of >= FEW_REPEATS and share.share is not None and share.share < CONSISTENT:
            found.append(
                f"{annotator.annotator} gave the same answer to only {share.share:.0%} of {share.of} repeated pairs: "
                "this annotator contradicts itself"
            )
    rule, accuracy = values.get("longer_rule"), values.get("accuracy")
    if rule is not None and accuracy is not None and rule >= LENGTH_RULE and rule >= accuracy - 0.02:
        side = "longer" if values["longer_preferred"] > 0.5 else "shorter"
        found.append(
            f"length alone explains the labels: preferring the {side} text is right as often ({rule:.0%}) "
            f"as the model ({accuracy:.0%})"
        )
    return found


def _arrays(comparisons: Sequence[Comparison], score: calibration.Array) -> tuple[calibration.Array, calibration.Array]:
    """Differences of the scores, and what the labels say: 1, 0 or ½, however surely it was learnt."""
    a = np.array([comparison.a for comparison in comparisons])
    b = np.array([comparison.b for comparison in comparisons])
    return score[a] - score[b], (1 + np.sign([comparison.target - 0.5 for comparison in comparisons])) / 2
