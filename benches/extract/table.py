"""The rows of the result and how they are printed: one Markdown table, and below it why a goal was missed."""

from dataclasses import dataclass, field

COLUMNS = ("quire", "kreuzberg", "pypdfium2", "PyMuPDF", "pdftotext", "tesseract", "polars", "duckdb", "Pillow", "csv.Sniffer", "clevercsv")


@dataclass
class Row:
    """One measure. `met` is `None` where it could not be measured; `notes` name what is responsible."""

    number: str
    what: str
    goal: str
    values: dict
    met: bool | None
    notes: list = field(default_factory=list)

    @property
    def verdict(self):
        return {True: "met", False: "**missed**", None: "not measured"}[self.met]


def show(rows, missing):
    """The table as Markdown. Nothing is left out: a measure that could not be taken has a row too."""
    columns = [name for name in COLUMNS if any(name in row.values for row in rows) or name in missing]
    lines = [_line("id", "measure", "goal", "", *columns), _line(*["---"] * (len(columns) + 4))]
    for row in rows:
        values = [row.values.get(name, "not installed" if name in missing else "") for name in columns]
        lines.append(_line(row.number, row.what, row.goal, row.verdict, *values))
    notes = [f"- {row.number} {row.what}: {'; '.join(row.notes)}" for row in rows if row.notes]
    return "\n".join(lines + (["", "What is behind misses and gaps (worst files first):", *notes] if notes else []))


def _line(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
