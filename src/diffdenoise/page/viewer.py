"""The part of a page that shows images: what the script needs to know, and what it is steered by."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from diffdenoise.page.document import element, json_block, number, text
from diffdenoise.page.pictures import RESIDUAL_STDS
from diffdenoise.page.tiles import Picture, Tiles
from diffdenoise.trust.evidence import Place
from diffdenoise.trust.window import SOFT_TISSUE

#: Usual windows of CT, HU: centre and width.
_HOUNSFIELD = {"lung": (-600, 1500), "soft tissue": SOFT_TISSUE, "brain": (40, 80), "bone": (400, 1800)}
#: What the views are called; the last is there where an uncertainty is.
_VIEWS = {
    "swipe": "Swipe",
    "side": "Side by side",
    "noisy": "Noisy",
    "denoised": "Denoised",
    "residual": "Residual",
    "uncertainty": "Uncertainty",
}
_DRAGS = {"swipe": "swipe", "move": "move", "window": "window"}
_KEYS = (
    ("\N{UPWARDS ARROW} \N{DOWNWARDS ARROW}, wheel", "other slice"),
    ("\N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW}", "move the swipe line; other slice in other views"),
    ("b", "blink noisy and denoised (one change a press where you asked for reduced motion)"),
    ("1 to 6", "swipe, side by side, noisy, denoised, residual, uncertainty"),
    ("+ \N{MINUS SIGN}, Ctrl + wheel, two fingers", "zoom"),
    ("Shift + arrows, Shift + drag", "move the image"),
    ("right button + drag", "window: across for the width, up and down for the centre"),
    ("r", "rings about suspicious places"),
    ("i", "invert"),
    ("0", "everything as at first"),
)


#: Places that are listed at once; the others when they are asked for.
_LISTED = 6


def viewer(tiles: Tiles, places: Sequence[Place], heading: str) -> str:
    """Return the section that shows the images.

    Parameters
    ----------
    tiles : Tiles
        Its pictures.
    places : sequence of Place
        Those that the tiles were made with.
    heading : str
        HTML of the section's title.
    """
    if not tiles.pictures:
        gone = element("div", "No picture fits into this page.", class_="missing", role="note")
        return element("section", heading, gone, _listed(tiles, places), id="look")
    images = "".join(_images(tiles, index, each) for index, each in enumerate(tiles.pictures))
    stage = element(
        "div",
        id="stage",
        class_="stage",
        tabindex=0,
        role="application",
        aria_label="Images. Arrow keys change the slice and move the swipe line; b blinks.",
        aria_describedby="caption",
    )
    hint = element(
        "noscript",
        element(
            "p", "Scripts are switched off: the images are shown without window and swipe.", class_="note"
        ),
    )
    keys = element(
        "details",
        element("summary", "Keys and mouse"),
        element("dl", *(element("dt", text(k)) + element("dd", text(v)) for k, v in _KEYS)),
        class_="keys",
    )
    box = element(
        "div",
        _views(tiles),
        stage,
        element("p", id="caption", class_="caption", aria_live="polite"),
        _controls(tiles, places),
        keys,
        id="viewer",
        class_="viewer",
    )
    return element(
        "section",
        heading,
        box,
        hint,
        element("p", text(_said(tiles)), class_="note"),
        _listed(tiles, places),
        element("div", images, id="tiles", class_="tiles"),
        json_block("viewer-data", viewer_data(tiles, places)),
        id="look",
    )


def viewer_data(tiles: Tiles, places: Sequence[Place]) -> dict[str, Any]:
    """Return what the script needs to know."""
    view, window, unit = tiles.view, tiles.window, tiles.window.unit
    shown = {mark.place: index for index, each in enumerate(tiles.pictures) for mark in each.marks}
    return {
        "kinds": list(tiles.pictures[0].images),
        "tones": [list(tiles.tones.tones), list(tiles.tones.values)],
        "window": [window.low, window.high],
        "words": window.words if unit else "",
        "stated": view.display.window if unit else None,
        "inverted": window.is_inverted,
        "unit": unit,
        "bound": f"{number(tiles.bound)}{unit and ' ' + unit}",
        "top": f"{number(tiles.top)}{unit and ' ' + unit}",
        "aspect": view.aspect,
        "pixel_mm": None if view.pixel_mm is None else view.pixel_mm[1] * tiles.factor,
        "directions": list(view.directions),
        "pictures": [
            {
                "name": _name(tiles, each),
                "width": each.width,
                "height": each.height,
                "marks": [[mark.place, mark.x, mark.y, mark.radius] for mark in each.marks],
            }
            for each in tiles.pictures
        ],
        "places": [shown.get(number) for number in range(len(places))],
        "presets": [] if unit != "HU" else [[name, *values] for name, values in _HOUNSFIELD.items()],
    }


def _name(tiles: Tiles, picture: Picture) -> str:
    """Which slice it is, counted as everywhere here: from 0."""
    slices, volumes = tiles.counts
    said = f"slice {picture.slice} (of 0 to {slices - 1})" if slices > 1 else "the image"
    return f"{said}, volume {picture.volume} (of 0 to {volumes - 1})" if volumes > 1 else said


def _images(tiles: Tiles, index: int, picture: Picture) -> str:
    """The pictures of a slice, for the script; shown as they are where scripts don't run."""
    images = "".join(
        f'<img alt="{text(kind)}" title="{text(kind)}" data-kind="{text(kind)}" '
        f'src="data:image/webp;base64,{base64.b64encode(content).decode()}">'
        for kind, content in picture.images.items()
    )
    return element("figure", images, element("figcaption", text(_name(tiles, picture))), data_index=index)


def _views(tiles: Tiles) -> str:
    kinds = tiles.pictures[0].images
    names = {key: name for key, name in _VIEWS.items() if key in ("swipe", "side") or key in kinds}
    blink = element("button", "Blink ", element("kbd", "b"), id="blink", type="button", aria_pressed="false")
    speed = element(
        "label",
        "every ",
        # Three flashes a second are the most that is safe to look at (WCAG 2.3.1): 0.35 s a change.
        '<input type="range" id="speed" min="0.35" max="2" step="0.05" value="0.7" '
        'aria-label="seconds between changes">',
        element("output", "0.7 s", id="speed-said"),
        id="speed-box",
    )
    return element("div", _choice("view", "View", names), blink, speed, class_="bar")


def _choice(name: str, legend: str, options: dict[str, str]) -> str:
    """One of several, as buttons side by side."""
    inner = "".join(
        f'<label><input type="radio" name="{name}" value="{text(value)}"{" checked" if index == 0 else ""}>'
        f"<span>{text(said)}</span></label>"
        for index, (value, said) in enumerate(options.items())
    )
    return element("fieldset", element("legend", text(legend)), inner, class_="choice", id=f"choice-{name}")


def _controls(tiles: Tiles, places: Sequence[Place]) -> str:
    last = len(tiles.pictures) - 1
    slices = (
        element(
            "label",
            "Slice ",
            f'<input type="range" id="slice" min="0" max="{last}" step="1" value="0">',
            class_="wide",
        )
        if last
        else ""
    )
    unit = f" ({text(tiles.window.unit)})" if tiles.window.unit else ""
    low, high = tiles.tones.values[0], tiles.tones.values[-1]
    span = high - low
    window = "".join(
        element(
            "label",
            f"{said}{unit} ",
            f'<input type="range" id="{name}" min="{least:.8g}" max="{most:.8g}" step="any">',
            element("output", id=f"{name}-said"),
        )
        for name, said, least, most in (("centre", "Centre", low, high), ("width", "Width", span / 200, span))
    )
    preset = ""
    if tiles.window.unit == "HU":
        options = [element("option", "as at first", value="")]
        options += [
            element("option", f"{text(name)} {number(c)}/{w:g}", value=name)
            for name, (c, w) in _HOUNSFIELD.items()
        ]
        preset = element("label", "Window ", element("select", *options, id="preset"))
    rings = (
        element("label", '<input type="checkbox" id="rings" checked> rings', class_="check") if places else ""
    )
    zoom = "".join(
        element("button", said, id=name, type="button", aria_label=label)
        for name, said, label in (
            ("zoom-out", "\N{MINUS SIGN}", "zoom out"),
            ("zoom-in", "+", "zoom in"),
            ("reset", "Reset", "everything as at first"),
        )
    )
    invert = element("label", '<input type="checkbox" id="invert"> invert', class_="check")
    first = element("div", slices, element("span", zoom, class_="buttons"), rings, class_="bar")
    second = element("div", window, preset, invert, _choice("drag", "Drag to", _DRAGS), class_="bar")
    return first + second


def _listed(tiles: Tiles, places: Sequence[Place]) -> str:
    """The suspicious places, each with a button that goes there."""
    if not places:
        return ""
    shown = {mark.place for each in tiles.pictures for mark in each.marks}
    items = []
    for index, place in enumerate(places):
        where = f"slice {place.slice}" if tiles.counts[0] > 1 else "image"
        where += f", volume {place.volume}" if tiles.counts[1] > 1 else ""
        where += f", row {place.row}, column {place.column}"
        said = (
            f"{where}: {place.kind}, {number(place.size_px)} pixels across, "
            f"{number(abs(place.contrast))} noise stds; strength {number(place.strength)}"
        )
        go = element(
            "button", f"{index + 1}", type="button", data_place=index, aria_label=f"show place {index + 1}"
        )
        items.append(
            element(
                "li",
                go if index in shown else element("span", f"{index + 1}", class_="lone"),
                " ",
                element("span", text(said) + ("" if index in shown else " (not among the slices shown)")),
            )
        )
    listed = element("ol", *items[:_LISTED], class_="places")
    if len(items) > _LISTED:
        # The verdict should not have to be looked for.
        rest = element("ol", *items[_LISTED:], class_="places", start=_LISTED + 1)
        listed += element("details", element("summary", f"{len(items) - _LISTED} fainter ones"), rest)
    return element("h3", "Suspicious places") + listed


def _said(tiles: Tiles) -> str:
    """How the pictures are to be read."""
    unit = f" {tiles.window.unit}" if tiles.window.unit else ""
    level = (
        "times the noise's standard deviation"
        if tiles.noise_std is not None
        else "times its own standard deviation (the noise's is not known)"
    )
    parts = [
        "Noisy and denoised are always shown in the same window"
        + (f" (at first {tiles.window.words})." if tiles.window.words else "."),
        f"The residual is noisy minus denoised: mid-grey is nothing, black and white are {RESIDUAL_STDS:g} "
        f"{level} "
        f"(\N{PLUS-MINUS SIGN}{number(tiles.bound)}{unit}).",
    ]
    if "uncertainty" in tiles.pictures[0].images:
        parts.append(f"The uncertainty goes from 0 (dark) to {number(tiles.top)}{unit} (bright).")
    if tiles.factor > 1:
        n = tiles.factor
        parts.append(
            f"To fit into this file, each pixel shown is the mean of {n} \N{MULTIPLICATION SIGN} {n}: "
            "noise looks weaker than it is."
        )
    if tiles.quality is not None:
        parts.append("The images are compressed for this file: read the scan itself for diagnosis.")
    if len(tiles.pictures) < tiles.counts[0] * tiles.counts[1]:
        parts.append(f"{len(tiles.pictures)} of {tiles.counts[0] * tiles.counts[1]} slices are shown.")
    return " ".join(parts)
