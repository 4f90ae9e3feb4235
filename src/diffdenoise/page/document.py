"""A page in one file: nothing is fetched, no script runs but its own, and no text is taken for HTML."""

from __future__ import annotations

import base64
import hashlib
import json
import string
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from diffdenoise.errors import OutputError
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.folder import check_new_file

#: Bytes that a page has at most: what mail programs still send along.
MOST_BYTES = 3_000_000


def text(value: object) -> str:
    """Return a value as text of an element, or of a quoted attribute."""
    return escape(str(value), quote=True)


def element(name: str, *content: str, **attributes: str | int | None) -> str:
    """Return an element.

    Parameters
    ----------
    name : str
        Of the element.
    *content : str
        HTML inside.
    **attributes : str or int
        Escaped here. A trailing "_" is left out and "_" elsewhere becomes "-"; None: no such attribute.
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    written = "".join(f' {key}="{text(value)}"' for key, value in given.items() if value is not None)
    return f"<{name}{written}>{''.join(content)}</{name}>"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], **attributes: str | int | None) -> str:
    """Return a table of text, which scrolls where the page is too narrow for it."""
    top = "".join(element("th", text(each), scope="col") for each in head)
    body = "".join(element("tr", *(element("td", text(each)) for each in row)) for row in rows)
    inner = element(
        "table", element("thead", element("tr", top)) if top else "", element("tbody", body), **attributes
    )
    return element("div", inner, class_="scrolls", tabindex=0, role="region", aria_label="table")


def json_block(name: str, value: Any) -> str:
    """Return JSON that scripts can read and that ends where it should, whatever its texts hold."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{text(name)}">{written}</script>'


def number(value: float | None) -> str:
    """Return a number as people write it, to three digits."""
    if value is None:
        return "\N{EN DASH}"
    size = abs(value)
    written = f"{value:,.0f}" if 1000 <= size < 1e7 else f"{value:.3g}"
    return written.replace("-", "\N{MINUS SIGN}")


def document(title: str, body: str, script: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
        Of the window.
    body : str
        HTML.
    script : str
        Name of the file in this folder that holds the page's script.
    """
    style, code = asset("page.css"), asset(script)
    page = string.Template(asset("page.html"))
    return page.substitute(
        title=text(title),
        policy=text(
            f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(code)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        style=style,
        body=body,
        script=code,
    )


def asset(name: str) -> str:
    """Return a file that lies beside this one."""
    return files("diffdenoise.page").joinpath(name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    """What allows a script or a style of just this content (Content Security Policy 3, 6.7.3.3)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}"


def check_page(path: Path, overwrite: bool = False) -> None:
    """Raise an error if a page cannot be written at `path`; meant to be called before a long run.

    Parameters
    ----------
    path : path
        File to write later; missing folders are made then.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the suffix isn't .html, the folder can't be written, or the file exists.
    """
    check_new_file(path, (".html", ".htm"), "a page", overwrite)


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    OutputError
        If it can't be written, or is larger than pages may be.
    """
    content = page.encode("utf-8", "replace")
    if len(content) > MOST_BYTES:
        raise OutputError(
            f"{path}: would take {len(content):,} bytes, a page at most {MOST_BYTES:,}; give shorter texts"
        )
    with atomic_path(path, ".html") as temporary:
        temporary.write_bytes(content)


def pairs(given: Mapping[str, str]) -> str:
    """Return a table of names and values."""
    rows = "".join(
        element("tr", element("th", text(name), scope="row"), element("td", text(value)))
        for name, value in given.items()
    )
    return element("table", element("tbody", rows), class_="pairs")
