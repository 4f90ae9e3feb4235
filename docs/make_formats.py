"""Write the table of formats.md beside this file from the registry: `python docs/make_formats.py`."""

from __future__ import annotations

from pathlib import Path

from diffdenoise.scan.registry import FORMATS

PAGE = Path(__file__).with_name("formats.md")
START, END = "<!-- formats: made by docs/make_formats.py -->", "<!-- end of formats -->"


def table() -> str:
    """Return a line a format."""
    lines = ["| format, read | suffixes | written as | what is kept | float |", "|---|---|---|---|---|"]
    for fmt in FORMATS:
        suffixes = ", ".join(f"`{suffix}`" for suffix in fmt.suffixes)
        written = (fmt.written_as or fmt).title
        holds = "yes" if fmt.holds_float else "no"
        lines.append(f"| {fmt.title} | {suffixes} | {written} | {fmt.keeps} | {holds} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with its table made anew."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
