"""What the help desk is about: devices, symptoms, causes, and the fixes that fit.

A fix belongs to one cause. It fits a device and a symptom when its cause is one of the symptom's and the part it names
is one that the device has: nobody updates the driver of a lens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Device:
    """Something that breaks. `parts` names what stands for each role in a fix: {power}, {link}, …; a role it lacks has
    no entry, and then no fix that needs that part fits."""

    name: str
    plural: str
    weight: float
    parts: dict[str, str]


@dataclass(frozen=True)
class Symptom:
    """What a device does wrong.

    Attributes:
        singular, plural: as a verb phrase: a laptop "won't turn on", laptops "don't turn on".
        causes: what may be behind it, the likeliest first.
        devices: which devices have it.
    """

    singular: str
    plural: str
    causes: tuple[str, ...]
    devices: tuple[str, ...]


def _device(name: str, plural: str, weight: float, **parts: str) -> Device:
    return Device(name, plural, weight, parts)


DEVICES = {
    device.name: device
    for device in (
        _device("laptop", "laptops", 3, power="charger", link="wifi card", vent="fan", system="system", store="disk",
                surface="keys", audio="sound card"),
        _device("phone", "phones", 3, power="charging cable", link="wifi settings", vent="back cover", system="apps",
                store="photo album", surface="charging port", audio="earpiece"),
        _device("printer", "printers", 2, power="power cord", link="network cable", system="printer driver",
                store="print queue", surface="paper tray"),
        _device("tablet", "tablets", 1.5, power="charging cable", link="wifi settings", vent="rubber case",
                system="apps", store="photo album", surface="touch screen", audio="earpiece"),
        _device("router", "routers", 1.5, power="power adapter", link="dsl line", vent="air slots",
                system="firmware", surface="antenna"),
        _device("tv", "tvs", 1.5, power="power cord", link="antenna cable", vent="air slots", system="firmware",
                surface="remote sensor", audio="volume settings"),
        _device("camera", "cameras", 1, power="battery", link="usb cable", system="firmware", store="memory card",
                surface="lens"),
        _device("headset", "headsets", 1, power="battery", link="bluetooth link", system="firmware",
                surface="ear pads", audio="microphone settings"),
        _device("speaker", "speakers", 1, power="power adapter", link="bluetooth link", system="firmware",
                surface="front grille", audio="volume settings"),
        _device("console", "consoles", 1, power="power cord", link="network cable", vent="fan", system="system",
                store="disk", surface="disc drive", audio="sound cable"),
        _device("watch", "watches", 1, power="charging dock", link="bluetooth link", vent="rubber strap",
                system="apps", store="music folder", surface="touch screen"),
        _device("keyboard", "keyboards", 1, power="battery", link="usb cable", system="keyboard driver",
                surface="space bar"),
        _device("scanner", "scanners", 0.7, power="power adapter", link="usb cable", system="scanner driver",
                store="scan folder", surface="glass plate"),
        _device("projector", "projectors", 0.7, power="power cord", link="hdmi cable", vent="fan",
                system="firmware", surface="lens", audio="sound cable"),
    )
}  # fmt: skip

CAUSES = {
    "power": ("power issues", ("try another {power}", "check the {power}", "unplug the {power} for a minute")),
    "heat": ("heat", ("clean the {vent}", "let it cool down for an hour", "keep the {vent} free of dust")),
    "software": ("old software", ("update the {system}", "reset the {system}", "restart it and update the {system}")),
    "connection": ("a bad connection", ("check the {link}", "reset the {link}", "ask someone to replace the {link}")),
    "space": ("too little space", ("make room on the {store}", "clear the {store}", "move files off the {store}")),
    "dirt": ("dirt", ("clean the {surface}", "wipe the {surface} with a dry cloth", "look for dust on the {surface}")),
    "sound": ("wrong settings", ("check the {audio}", "open the {audio} and turn everything up", "test the {audio}")),
}
"""Cause → what people call it, and the fixes for it; {role} stands for the device's part of that role."""

_ALL = tuple(DEVICES)
_PORTABLE = ("laptop", "phone", "tablet", "camera", "headset", "watch", "keyboard")
_SCREENS = ("laptop", "phone", "tablet", "tv", "camera", "console", "watch", "projector")
_STORES = ("laptop", "phone", "printer", "tablet", "camera", "console", "watch", "scanner")
_VENTS = ("laptop", "phone", "tablet", "router", "tv", "console", "watch", "projector")
_LINKED = tuple(name for name in DEVICES if name not in ("watch", "projector"))
_SOUND = ("laptop", "phone", "tablet", "tv", "headset", "speaker", "console", "projector")

SYMPTOMS = {
    symptom.singular: symptom
    for symptom in (
        Symptom("won't turn on", "don't turn on", ("power",), _ALL),
        Symptom("won't charge", "don't charge", ("power", "dirt"), _PORTABLE),
        Symptom("keeps freezing", "freeze", ("software", "space"), _STORES),
        Symptom("is very slow", "are slow", ("space", "software"), _STORES),
        Symptom("gets too hot", "get hot", ("heat",), _VENTS),
        Symptom("turns itself off", "turn themselves off", ("power", "heat"), _VENTS),
        Symptom("won't connect", "don't connect", ("connection", "software"), _LINKED),
        Symptom("keeps losing its connection", "lose their connection", ("connection",), _LINKED),
        Symptom("makes a strange noise", "make strange noises", ("dirt", "heat"),
                ("laptop", "tv", "console", "projector")),
        Symptom("has no sound", "have no sound", ("sound", "software"), _SOUND),
        Symptom("sounds muffled", "sound muffled", ("dirt", "sound"), ("phone", "tablet", "headset", "speaker")),
        Symptom("shows a blurry picture", "show blurry pictures", ("dirt", "connection"),
                ("tv", "camera", "projector")),
        Symptom("shows a black screen", "show a black screen", ("power", "software"), _SCREENS),
        Symptom("shows an error message", "show error messages", ("software",), _ALL),
        Symptom("says it is full", "say they are full", ("space",), _STORES),
        Symptom("does nothing when I touch it", "do nothing when touched", ("dirt", "software"),
                ("phone", "tablet", "watch", "keyboard", "laptop")),
        Symptom("leaves stains on the paper", "leave stains on the paper", ("dirt",), ("printer", "scanner")),
    )
}  # fmt: skip

HELD_OUT = frozenset({
    ("tablet", "won't turn on"), ("speaker", "won't turn on"), ("camera", "won't charge"),
    ("console", "keeps freezing"), ("watch", "is very slow"), ("tv", "gets too hot"), ("laptop", "turns itself off"),
    ("printer", "won't connect"), ("headset", "won't connect"), ("phone", "keeps losing its connection"),
    ("projector", "has no sound"), ("laptop", "has no sound"), ("projector", "shows a black screen"),
    ("router", "shows an error message"), ("keyboard", "shows an error message"), ("camera", "says it is full"),
    ("tablet", "does nothing when I touch it"), ("console", "makes a strange noise"),
})  # fmt: skip
"""(device, symptom) pairs that occur in test prompts and nowhere else."""

PAIRS = tuple((device, symptom) for symptom in SYMPTOMS for device in SYMPTOMS[symptom].devices)
TRAIN_PAIRS = tuple(pair for pair in PAIRS if pair not in HELD_OUT)


def fixes(device: str, cause: str) -> tuple[str, ...]:
    """The fixes of a cause that fit this device, its parts filled in; empty where it lacks the part."""
    filled = []
    for template in CAUSES[cause][1]:
        try:
            filled.append(template.format_map(DEVICES[device].parts))
        except KeyError:
            continue
    return tuple(filled)


@cache
def fitting_fixes(device: str, symptom: str) -> tuple[str, ...]:
    """Every fix that fits this device and symptom, those of the likeliest cause first."""
    return tuple(fix for cause in SYMPTOMS[symptom].causes for fix in fixes(device, cause))


def train_devices(symptom: str) -> tuple[str, ...]:
    """The devices that are seen with this symptom outside the test prompts."""
    return tuple(device for device in SYMPTOMS[symptom].devices if (device, symptom) not in HELD_OUT)
