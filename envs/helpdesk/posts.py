"""The grammar of the help desk: prompts, answers of every quality, and the posts of its forum.

Four kinds of post. Questions begin with a prompt and then *go on* in the asker's voice; nobody answers inside them.
Replies answer, but under a header that no prompt has, and mostly the asker says whether it helped. Musings and tips say
what goes wrong with what, and why. So a model that has read the forum continues a prompt with more of the question,
although it has read the answers.

Answers differ in independent ways: what they advise (a fix that fits, a fix of something else, another device's, none),
their tone (polite, plain, rude), their length, whether they ask something back.
"""

from __future__ import annotations

from functools import cache

from envs.helpdesk.grammar import Join, Pick, maybe, weighted
from envs.helpdesk.words import CAUSES, DEVICES, PAIRS, SYMPTOMS, TRAIN_PAIRS, fitting_fixes, fixes, train_devices

POLITE = ("please", "thanks", "thank you", "sorry to hear", "hope that helps", "good luck", "happy to help")
RUDE = (
    "silly question",
    "read the manual",
    "not my problem",
    "oh come on",
    "stop wasting",
    "even a child",
    "obviously",
)

WHEN = Pick([
    "", "", "", "", " again", " today", " since yesterday", " since last week", " since monday", " all the time",
    " most mornings", " after the move", " in the evening", " at night", " at work", " every few days",
])  # fmt: skip
OWNER = weighted((6, "my "), (1, "our "), (1, "my sister's "), (1, "my father's "), (1, "the old "), (1, "my new "))
LATER = Pick([
    "twice", "for a week", "for a month", "last year", "on monday", "in the summer", "on the train", "at work",
    "at home", "every day", "in the rain", "on holiday", "before lunch", "at midnight", "one sunday", "three times",
    "in the garden", "last night", "all winter", "during a film",
])  # fmt: skip
PERSON = Pick([
    "my sister", "my father", "a friend", "my neighbour", "a man in the shop", "someone at work", "my teacher",
    "the seller", "my aunt", "the woman next door", "our postman", "my boss", "a student", "my grandmother",
])  # fmt: skip

BACKGROUND = Pick([
    Join("it was fine ", Pick([
        "yesterday", "last week", "this morning", "until today", "for two years", "before the storm", "at first",
        "until I moved",
    ]), "."),
    Join("I bought it ", Pick([
        "last year", "in may", "from a friend", "in a sale", "two months ago", "online", "at a market", "in spring",
    ]), "."),
    Join("I use it ", Pick([
        "every day", "for work", "for school", "at home", "only at the weekend", "in the kitchen", "on trips",
        "with my band",
    ]), "."),
    Join("I have tried ", Pick([
        "everything", "twice", "all I could think of", "what the box says", "for an hour", "with my brother",
    ]), "."),
    Join(PERSON, Pick([" dropped it ", " used it ", " cleaned it ", " borrowed it ", " sat on it "]), LATER, "."),
    Join(PERSON, Pick([" says", " thinks", " is sure"]), " it is ", Pick([name for name, _ in CAUSES.values()]), "."),
    Join("this ", Pick(["also happened", "began", "was a problem", "came up"]), " ", LATER, "."),
    Join("I need it ", Pick([
        "tomorrow", "on monday", "for my exam", "for a party", "tonight", "for a trip", "for a wedding", "by noon",
    ]), "."),
])  # fmt: skip
THANKS = Pick([
    "thanks in advance.", "any help is welcome.", "please help.", "I am lost.", "what a day.", "thank you all.",
])  # fmt: skip
CHATTER = Pick([
    Join("my cousin had one of those ", LATER, "."),
    Join("I have repaired many of these ", LATER, "."),
    Join("things were better made when I was ", Pick(["young", "at school", "an apprentice", "twenty"]), "."),
    Join("people ask me about this ", LATER, "."),
    Join(PERSON, " told me the same story ", LATER, "."),
    Join("it took me ", Pick(["an hour", "a whole day", "three weeks", "a long night"]), " to learn that."),
])  # fmt: skip
GREETING = Pick(["hi there, ", "hello, ", "sorry to hear that. ", "thanks for asking. ", "happy to help. "])
RUDENESS = Pick([
    "what a silly question. ", "oh come on. ", "read the manual. ", "stop wasting my time. ",
    "even a child knows this. ", "this is not my problem. ",
])  # fmt: skip
FAREWELL = Pick([" good luck.", " hope that helps.", " thanks for your patience.", " thank you for your question."])
ASK_BACK = Pick([
    " does it happen every day?", " is it still under warranty?", " how old is it?", " did you drop it?",
    " did that help?",
])  # fmt: skip
REACTION = {
    True: Pick([" it works now!", " that fixed it!", " all is well again!"]),
    False: Pick([" that did nothing!", " it is still the same!", " no change here!"]),
}
"""What the asker says afterwards, by whether the fix fits: who reads on learns to tell."""
VAGUE = Pick([
    "it could be anything.", "try looking it up.", "maybe it is just old.", "some of them do that.",
    "you could ask in a shop.", "just wait and see.",
])  # fmt: skip


@cache
def prompt(device: str, symptom: str) -> Join:
    """A question about this device and symptom."""
    thing = Join(OWNER, device, " ", symptom, WHEN)
    return Join(
        weighted(
            (6, Join(thing, ", what should I do?")),
            (2, Join(thing, ". any ideas?")),
            (1, Join("help, ", thing, "! what now?")),
            (1, Join(thing, ". what is wrong with it?")),
            (1, Join(thing, ", can I fix that?")),
            (1, Join("what can I do if ", thing, "?")),
        )
    )


@cache
def _fix_of(device: str, cause: str) -> Pick | None:
    found = fixes(device, cause)
    return Pick(found) if found else None


@cache
def _right_fix(device: str, symptom: str) -> Pick:
    options = [node for cause in SYMPTOMS[symptom].causes if (node := _fix_of(device, cause))]
    return Pick(options, [2.0**-rank for rank in range(len(options))])


@cache
def _wrong_fix(device: str, symptom: str) -> Pick:
    """Fixes that this device may need some day, but not for this."""
    right = set(fitting_fixes(device, symptom))
    wrong = [Pick(rest) for cause in CAUSES if (rest := [fix for fix in fixes(device, cause) if fix not in right])]
    return Pick(wrong)


@cache
def _cause(symptom: str) -> Pick:
    causes = SYMPTOMS[symptom].causes
    return Pick([CAUSES[cause][0] for cause in causes], [2.0**-rank for rank in range(len(causes))])


@cache
def _advice(fix: Pick) -> Join:
    """One piece of advice; `please` makes it polite."""
    return Join(
        weighted((3, ""), (2, "please "), (2, "you could "), (1, "I would "), (1, "first ")),
        fix,
        maybe(0.25, Join(" ", Pick(["and try again", "and wait a minute", "before you buy a new one", "tonight"]))),
        ".",
        maybe(0.25, Join(" if that fails, ", fix, ".")),
    )


@cache
def answer(device: str, symptom: str, reaction: bool = False) -> Pick:
    """A reply of any quality to a prompt about this device and symptom; with `reaction`, what the asker says to it."""
    diagnosis = Join(Pick(["that sounds like ", "it is often ", "I think it is "]), _cause(symptom), ". ")
    others = [other for other in train_devices(symptom) if other != device] or [
        other for other in DEVICES if other != device and (other, symptom) not in PAIRS
    ]
    elsewhere = Pick(
        [
            Join(
                Pick([f"with a {other} ", f"for your {other}, ", f"my {other} had that, "]),
                _advice(_right_or_any(other, symptom)),
            )
            for other in others
        ]
    )
    tone = weighted((4.5, ""), (3.5, GREETING), (2, RUDENESS))
    rest = Join(
        maybe(0.4, Join(" ", CHATTER, maybe(0.4, Join(" ", CHATTER)))), maybe(0.12, ASK_BACK), maybe(0.2, FAREWELL)
    )
    return weighted(*(
        (weight, Join(tone, content, rest, maybe(0.8, REACTION[helps]) if reaction else ""))
        for weight, content, helps in (
            (6, Join(maybe(0.35, diagnosis), _advice(_right_fix(device, symptom))), True),
            (1.5, Join(maybe(0.25, diagnosis), _advice(_wrong_fix(device, symptom))), False),
            (1.5, elsewhere, False),
            (1, VAGUE, False),
        )
    ))  # fmt: skip


def _right_or_any(device: str, symptom: str) -> Pick:
    if (device, symptom) in PAIRS:
        return _right_fix(device, symptom)
    return Pick([node for cause in CAUSES if (node := _fix_of(device, cause))])


@cache
def _musing_sentence(symptom: str) -> Pick:
    """One sentence about devices that have this symptom, in general."""
    devices = train_devices(symptom)
    plural = SYMPTOMS[symptom].plural
    weights = [DEVICES[device].weight for device in devices]
    many = Pick([DEVICES[device].plural for device in devices], weights)
    one = Pick(devices, weights)
    return Pick([
        Join(many, Pick([" sometimes ", " often ", " rarely "]), plural, " because of ", _cause(symptom), "."),
        Join("when ", many, f" {plural}, it is ", Pick(["often ", "mostly ", "hardly ever "]), _cause(symptom), "."),
        Join("my ", one, " did that ", LATER, "."),
        Join("I have seen ", many, " that ", plural, " ", LATER, "."),
    ])  # fmt: skip


def _question(device: str, symptom: str) -> Join:
    musing = _musing_sentence(symptom)
    return Join(
        prompt(device, symptom), " ", weighted((2, BACKGROUND), (1, musing)),
        maybe(0.8, Join(" ", weighted((1, BACKGROUND), (1.5, musing)))), maybe(0.4, Join(" ", THANKS)),
    )  # fmt: skip


def _reply(device: str, symptom: str) -> Join:
    return Join("reply about a ", device, " that ", symptom, ": ", answer(device, symptom, reaction=True))


def _tip(device: str, symptom: str) -> Join:
    return Join(
        "tip: if your ", device, " ", symptom, ", ", _right_fix(device, symptom), ".",
        maybe(0.5, Join(" ", _musing_sentence(symptom))), maybe(0.5, Join(" ", CHATTER)),
    )  # fmt: skip


def _musing(symptom: str) -> Join:
    sentence = _musing_sentence(symptom)
    return Join(
        sentence,
        " ",
        weighted((1, sentence), (1, BACKGROUND)),
        maybe(0.5, Join(" ", CHATTER)),
        maybe(0.3, Join(" ", sentence)),
    )


@cache
def pair(train: bool) -> tuple[tuple[tuple[str, str], ...], tuple[float, ...]]:
    """The (device, symptom) pairs of a split and their weights: some devices break more often."""
    pairs = TRAIN_PAIRS if train else tuple(each for each in PAIRS if each not in TRAIN_PAIRS)
    return pairs, tuple(DEVICES[device].weight for device, _ in pairs)


@cache
def post() -> Pick:
    """Every post of the forum."""
    pairs, weights = pair(True)
    return weighted(
        (4, Pick([_question(*each) for each in pairs], weights)),
        (3.5, Pick([_reply(*each) for each in pairs], weights)),
        (1, Pick([_tip(*each) for each in pairs], weights)),
        (1.5, Pick([_musing(symptom) for symptom in SYMPTOMS])),
    )
