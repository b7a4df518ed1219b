"""What can be said for certain about an answer: the facts that rubrics are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from envs.helpdesk.posts import POLITE, RUDE
from envs.helpdesk.words import CAUSES, DEVICES, PAIRS, SYMPTOMS, fitting_fixes, fixes

BRIEF_WORDS = 20
"""An answer of at most so many words is brief."""


@dataclass(frozen=True)
class Judgement:
    """An answer to a prompt, in facts.

    Attributes:
        device, symptom: what the prompt is about; None where it names none.
        names_fix: it advises something that repairs some device.
        fix_fits: it advises something that fits the prompt's device and symptom, and speaks of no other device.
        wrong_device: it speaks of a device that is not the prompt's.
        polite: it has a polite phrase and no rude one.
        rude: it has a rude phrase.
        brief: at most BRIEF_WORDS words, and at least one.
        asks: it contains a question.
        finished: it ends as a sentence does.
        words: how many it has.
    """

    device: str | None
    symptom: str | None
    names_fix: bool
    fix_fits: bool
    wrong_device: bool
    polite: bool
    rude: bool
    brief: bool
    asks: bool
    finished: bool
    words: int


def judge(prompt: str, completion: str) -> Judgement:
    """The facts about `completion` as an answer to `prompt`."""
    device, symptom = topic(prompt)
    text = completion.lower()
    named = set(_fix_pattern().findall(text))
    mentioned = set(_device_pattern().findall(_fix_pattern().sub(" ", text)))
    wrong_device = bool({_singular(name) for name in mentioned} - {device})
    fitting = fitting_fixes(device, symptom) if device is not None and symptom is not None else ()
    rude = any(phrase in text for phrase in RUDE)
    words = len(text.split())
    return Judgement(
        device=device,
        symptom=symptom,
        names_fix=bool(named),
        fix_fits=bool(named & set(fitting)) and not wrong_device,
        wrong_device=wrong_device,
        polite=not rude and any(phrase in text for phrase in POLITE),
        rude=rude,
        brief=1 <= words <= BRIEF_WORDS,
        asks="?" in text,
        finished=text.rstrip().endswith((".", "!", "?")),
        words=words,
    )


def topic(prompt: str) -> tuple[str | None, str | None]:
    """The (device, symptom) that a prompt is about, None for what it does not name; no pair that cannot be."""
    text = prompt.lower()
    device = next(iter(_device_pattern().findall(text)), None)
    symptom = next((name for name, pattern in _symptom_patterns() if pattern.search(text)), None)
    device = _singular(device) if device is not None else None
    if device is not None and symptom is not None and (device, symptom) not in PAIRS:
        return device, None
    return device, symptom


@cache
def _fix_pattern() -> re.Pattern[str]:
    every = {fix for device in DEVICES for cause in CAUSES for fix in fixes(device, cause)}
    return re.compile(r"\b(?:" + "|".join(re.escape(fix) for fix in sorted(every, key=len, reverse=True)) + r")\b")


@cache
def _symptom_patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(name, re.compile(rf"\b{re.escape(name.lower())}\b")) for name in SYMPTOMS]


@cache
def _device_pattern() -> re.Pattern[str]:
    names = [name for device in DEVICES.values() for name in (device.plural, device.name)]
    return re.compile(r"\b(?:" + "|".join(re.escape(name) for name in names) + r")\b")


def _singular(name: str) -> str:
    return next(device.name for device in DEVICES.values() if name in (device.name, device.plural))
