"""The inputs: the shared corpus where it is present, and files generated from the seed of this run."""

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

import generate_bombs
import generate_pdf
import generate_rest

PASSWORDS = {"en-": generate_pdf.PASSWORD}
GROUPS = {"2col": "columns", "interleave": "interleaved", "-ar": "rtl", "-he": "rtl", "rtl": "rtl", "table": "table"}


@dataclass(frozen=True)
class File:
    """One input, with its text where that is known."""

    path: Path
    truth: str | None = None
    group: str = ""
    password: str | None = None


class Corpus:
    """Everything that one run measures; `quick` takes every fourth real file and no large ones."""

    def __init__(self, shared, work, seed, quick):
        self.shared, self.work, self.quick, self.seed = shared, work, quick, seed
        self.generated = work / f"generated-{seed}"
        self._generate()

    def _generate(self):
        if not self.generated.exists():
            print(f"generating files from seed {self.seed} ...", flush=True)
            part = self.generated.with_suffix(".part")
            for kind in ("pdf", "bomb", "scan", "csv", "image"):
                (part / kind).mkdir(parents=True, exist_ok=True)
            generate_pdf.make(part / "pdf", random.Random(self.seed))
            generate_bombs.make(part / "bomb")
            generate_rest.scans(part / "scan", random.Random(self.seed))
            generate_rest.tables(part / "csv", random.Random(self.seed))
            generate_rest.images(part / "image", random.Random(self.seed))
            os.rename(part, self.generated)

    def _files(self, kind, folders, suffixes):
        roots = [self.generated / kind] + [self.shared / folder for folder in folders]
        paths = [path for root in roots if root.is_dir() for path in sorted(root.iterdir())]
        return [_file(path) for path in paths if path.suffix.lower() in suffixes]

    def _thinned(self, files, step=4):
        return files[::step] if self.quick else files

    def known_pdfs(self):
        """PDFs whose text is known and that have a text layer."""
        return [file for file in self._files("pdf", ["pdf-gen"], [".pdf"]) if file.truth is not None]

    def fuzzed_pdfs(self):
        """PDFs with flipped bytes or a missing end, whose text is whatever can be saved."""
        names = ("co-flip", "co-trunc")
        return [f for f in self._files("pdf", ["pdf-gen"], [".pdf"]) if f.truth is None and f.path.name.startswith(names)]

    def other_pdfs(self):
        """Bombs and files that owe nothing, for the limits alone."""
        rest = [f for f in self._files("pdf", ["pdf-gen"], [".pdf"]) if f.truth is None and f not in self.fuzzed_pdfs()]
        return self._files("bomb", [], [".pdf"]) + [f for f in rest if "long700" not in f.path.name]

    def real_pdfs(self):
        """Real files, without truth."""
        return self._thinned(self._files("none", ["pdf-real"], [".pdf"]))

    def big_table(self):
        """The CSV file of 200 MB, or of a tenth of it; written when it is first asked for."""
        path = self.work / f"big-{self.seed}{'-tenth' if self.quick else ''}.csv"
        generate_rest.big_table(path, random.Random(self.seed), 0.1 if self.quick else 1.0)
        return path

    def long_pdf(self):
        """The file of 700 pages."""
        return self.generated / "pdf" / "rl-long700.pdf"

    def scans(self, *names):
        """Page images whose name holds one of `names`."""
        files = self._files("scan", ["ocr-gen"], [".png", ".jpg"])
        return [f for f in files if f.truth is not None and any(name in f.path.name for name in names)]

    def images(self):
        """Image files, many of them broken on purpose, without AVIF."""
        suffixes = [".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp"]
        return self._thinned(self._files("image", ["img"], suffixes), 3)

    def annotated_tables(self, folder):
        """Subset, path and delimiter of every annotated CSV file; `folder` is a checkout of the CSVsniffer set, or `None`."""
        made = json.loads((self.generated / "csv" / "dialects.json").read_text())
        found = [("generated", self.generated / "csv" / name, delimiter) for name, delimiter in made.items()]
        return found + self._thinned(_sniffer_set(Path(folder)) if folder else [])


def _file(path):
    truth = path.with_suffix(".txt")
    group = next((group for part, group in GROUPS.items() if part in path.stem), "plain")
    password = next((word for start, word in PASSWORDS.items() if path.name.startswith(start)), None)
    return File(path, truth.read_text() if truth.exists() else None, group, password)


def _sniffer_set(root):
    """The annotations of ws-garcia/CSVsniffer: `|`-separated lines of file, encoding, delimiter name and so on."""
    names = {"comma": ",", "semicolon": ";", "tab": "\t", "vslash": "|", "space": " ", "nsign": "#"}
    found = []
    for listed in sorted((root / "python" / "ground truth").glob("*nnotation*.txt")):
        if "CODEC" in listed.name:
            continue
        folder = {"CCSV": "CSV_Wrangling", "POLL": "CSV", "W3C-": "W3C-CSVW"}[listed.name[:4]]
        for line in listed.read_text(errors="replace").splitlines():
            fields = line.split("|")
            path = root / "python" / folder / fields[0]
            if len(fields) > 2 and path.is_file():
                found.append((folder, path, names.get(fields[2].strip(), fields[2])))
    return found
