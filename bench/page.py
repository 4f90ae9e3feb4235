"""Pages of which scripts write parts, between marks."""

from __future__ import annotations


def fill(text: str, name: str, table: str, by: str = "bench.tables") -> str:
    """Replace what is between `<!-- name: made by a script -->` and `<!-- end of name -->`."""
    start, end = f"<!-- {name}: made by {by} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no marks {start} ... {end}")
    return f"{before}{start}\n\n{table}\n\n{end}{after}"
