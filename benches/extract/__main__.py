"""`make bench-extract`: what quire makes of files nobody cleaned, beside the libraries of the field, as one Markdown table."""

import argparse
import sys
import time
from pathlib import Path

import peers
from corpus import Corpus
from measures_pdf import PdfRuns
from measures_rest import image_rows, scan_rows, table_rows
from table import show

MODULES = {"kreuzberg": "kreuzberg", "pypdfium2": "pypdfium2", "PyMuPDF": "pymupdf", "polars": "polars", "duckdb": "duckdb", "clevercsv": "clevercsv", "Pillow": "PIL"}
PROGRAMS = {"pdftotext": "pdftotext", "tesseract": "tesseract"}


def main():
    """Measures what is asked for and prints it; the exit code says nothing about goals, the table does."""
    options = _options()
    start = time.monotonic()
    corpus = Corpus(options.corpus, options.work, options.seed, options.quick)
    quire = peers.Quire(options.program)
    parts = {
        "pdf": lambda: PdfRuns(corpus, quire).rows(),
        "scan": lambda: scan_rows(corpus, quire),
        "csv": lambda: table_rows(corpus, quire, options.annotated),
        "image": lambda: image_rows(corpus, quire),
    }
    rows = []
    for name in options.only or parts:
        print(f"measuring {name} ...", flush=True)
        rows += parts[name]()
    table = show(rows, _missing())
    head = f"seed {options.seed}{', quick' if options.quick else ''}, corpus {'present' if options.corpus.is_dir() else 'missing: generated files only'}"
    print(f"\n{head}; {time.monotonic() - start:.0f} s\n\n{table}")
    (options.work / "result.md").write_text(f"{head}\n\n{table}\n")


def _options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the release program of quire")
    parser.add_argument("--corpus", type=Path, required=True, help="the shared corpus; may be missing")
    parser.add_argument("--work", type=Path, required=True, help="where generated files are kept")
    parser.add_argument("--annotated", help="a checkout of the CSVsniffer set, for C1")
    parser.add_argument("--seed", type=int, default=20_261, help="of the generated files")
    parser.add_argument("--quick", action="store_true", help="a part of the files, under three minutes on an idle machine")
    parser.add_argument("--only", nargs="+", choices=("pdf", "scan", "csv", "image"), help="these parts alone")
    return parser.parse_args()


def _missing():
    import shutil

    gone = {name for name, module in MODULES.items() if not peers.installed(module)}
    return gone | {name for name, program in PROGRAMS.items() if shutil.which(program) is None}


if __name__ == "__main__":
    sys.exit(main())
