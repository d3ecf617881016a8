"""The programs and libraries that quire is measured against, each optional, and quire itself.

A reader takes a path and a password (or None) and gives a `process.Run` whose output is the text. Libraries run in a forked child of
this interpreter, so that their start and import are not charged; programs are run as they are.
"""

import functools
import json
import shutil

import process

NOT_INSTALLED = "not installed"


class Quire:
    """The release program, run the way users run it: sandboxed children and OCR included."""

    def __init__(self, path):
        self.path = path

    def extract(self, path, password=None, options=()):
        """The run of `quire extract --format json`, and the document when there is one."""
        argv = [self.path, "extract", str(path), "--format", "json", *options]
        run = process.program(argv + (["--password", password] if password else []), cpu_s=60)
        return run, json.loads(run.output) if run.ok else None

    def has(self, command, option):
        """Whether the program knows `option` of `command`."""
        return option in process.program([self.path, command, "--help"]).text


def text_of(document):
    """The text of a document, page after page."""
    return "\n".join(page["text"] for page in document["pages"]) if document else ""


def pdf_readers():
    """Name and reader of every installed PDF peer; `None` for one that is missing."""
    return {
        "kreuzberg": _library(_kreuzberg, "kreuzberg"),
        "pypdfium2": _library(_pypdfium2, "pypdfium2"),
        "PyMuPDF": _library(_pymupdf, "pymupdf"),
        "pdftotext": _pdftotext if shutil.which("pdftotext") else None,
    }


def installed(module):
    """Whether `module` can be imported; imports it."""
    try:
        __import__(module)
    except Exception:  # noqa: BLE001 - a peer that cannot be loaded is as good as missing
        return False
    return True


def tesseract(path, languages="eng"):
    """Tesseract alone, page segmentation 3, one thread as quire runs it."""
    return process.program(["env", "OMP_THREAD_LIMIT=1", "tesseract", str(path), "-", "--psm", "3", "-l", languages])


def _library(call, module):
    return functools.partial(process.function, call) if installed(module) else None


def _kreuzberg(path, password):
    import kreuzberg

    options = kreuzberg.PdfConfig(passwords=[password]) if password else None
    config = kreuzberg.ExtractionConfig(pdf_options=options, use_cache=False)
    return kreuzberg.extract_file_sync(str(path), config=config).content


def _pypdfium2(path, password):
    import pypdfium2

    document = pypdfium2.PdfDocument(str(path), password=password)
    return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def _pymupdf(path, password):
    import pymupdf

    document = pymupdf.open(str(path))
    if document.needs_pass and not document.authenticate(password or ""):
        raise ValueError("password")
    return "\n".join(page.get_text() for page in document)


def _pdftotext(path, password):
    options = ["-upw", password, "-opw", password] if password else []
    return process.program(["pdftotext", "-q", *options, str(path), "-"])
