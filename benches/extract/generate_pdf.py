"""PDFs with known text from several producers: prose, scripts, columns, tables, rotation, encryption, damage.

Every maker takes a folder and a random source and writes `X.pdf` with `X.txt` (no `.txt` where no text is owed). A producer that is
not installed leaves its files out.
"""

from pathlib import Path

from words import RIGHT_TO_LEFT, lines

FONTS = Path("/usr/share/fonts/truetype/dejavu")
PASSWORD = "u5er"
FLIPPED = 20


def make(folder, random):
    """Everything into `folder`."""
    makers = [_prose, _columns, _interleaved, _table, _rotated, _scripts, _cairo, _encrypted, _object_streams, _damaged, _long]
    for maker in makers:
        try:
            maker(folder, random)
        except ImportError as error:
            print(f"  left out {maker.__name__[1:]}: {error}")


def _save(folder, name, canvas, text):
    canvas.save()
    (folder / f"{name}.txt").write_text(text + "\n")


def _canvas(folder, name):
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(folder / f"{name}.pdf"), pagesize=(595, 842))
    canvas.setFont("Helvetica", 10)
    return canvas


def _column(canvas, x, texts, top=780, leading=14):
    for row, text in enumerate(texts):
        canvas.drawString(x, top - leading * row, text)


def _prose(folder, random):
    for number in range(3):
        texts, canvas = lines(random, "en", 80), _canvas(folder, f"rl-prose{number}")
        _column(canvas, 60, texts[:40])
        canvas.showPage()
        canvas.setFont("Helvetica", 10)
        _column(canvas, 60, texts[40:])
        _save(folder, f"rl-prose{number}", canvas, "\n".join(texts))


def _columns(folder, random):
    for number in range(3):
        left, right = lines(random, "en", 40, 6), lines(random, "en", 40, 6)
        canvas = _canvas(folder, f"rl-2col{number}")
        _column(canvas, 50, left)
        _column(canvas, 320, right)
        _save(folder, f"rl-2col{number}", canvas, "\n".join(left + right))


def _interleaved(folder, random):
    """The rows of two columns drawn in turn, as word processors do it: the order of drawing is not that of reading."""
    for number in range(4):
        left, right = lines(random, "en", 40, 6), lines(random, "en", 40, 6)
        canvas = _canvas(folder, f"rl-interleave{number}")
        for row, pair in enumerate(zip(left, right)):
            canvas.drawString(50, 780 - 14 * row, pair[0])
            canvas.drawString(320, 780 - 14 * row, pair[1])
        _save(folder, f"rl-interleave{number}", canvas, "\n".join(left + right))


def _table(folder, random):
    for number in range(2):
        rows = [[random.choice("ABCDEFGH") + str(random.randrange(10_000)) for _ in range(5)] for _ in range(30)]
        canvas = _canvas(folder, f"rl-table{number}")
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                canvas.drawString(60 + 95 * x, 780 - 20 * y, cell)
        canvas.grid([55 + 95 * x for x in range(6)], [794 - 20 * y for y in range(31)])
        _save(folder, f"rl-table{number}", canvas, "\n".join(" ".join(row) for row in rows))


def _rotated(folder, random):
    for turn in (90, 180, 270):
        texts, canvas = lines(random, "en", 40), _canvas(folder, f"rl-pagerot{turn}")
        canvas.setPageRotation(turn)
        _column(canvas, 60, texts)
        _save(folder, f"rl-pagerot{turn}", canvas, "\n".join(texts))


def _scripts(folder, random):
    from fpdf import FPDF

    for language in ("de", "fr", "ru", "el", "ar", "he"):
        texts, document = lines(random, language, 30, 7), FPDF()
        document.add_page()
        document.add_font("dejavu", fname=str(FONTS / "DejaVuSans.ttf"))
        document.set_font("dejavu", size=11)
        if language in RIGHT_TO_LEFT:
            document.set_text_shaping(True)
        for text in texts:
            document.cell(0, 8, text, align="R" if language in RIGHT_TO_LEFT else "L", new_x="LMARGIN", new_y="NEXT")
        document.output(str(folder / f"fp-{language}.pdf"))
        (folder / f"fp-{language}.txt").write_text("\n".join(texts) + "\n")


def _cairo(folder, random):
    import cairocffi

    texts = lines(random, "en", 40)
    surface = cairocffi.PDFSurface(str(folder / "ca-prose.pdf"), 595, 842)
    context = cairocffi.Context(surface)
    context.select_font_face("DejaVu Serif")
    context.set_font_size(10)
    for row, text in enumerate(texts):
        context.move_to(50, 60 + 14 * row)
        context.show_text(text)
    surface.finish()
    (folder / "ca-prose.txt").write_text("\n".join(texts) + "\n")


def _encrypted(folder, random):
    import pikepdf

    for name, options in {"rc4": {"R": 3, "aes": False, "metadata": False}, "aes128": {"R": 4}, "aes256": {"R": 6}}.items():
        source = folder / "rl-prose0"
        with pikepdf.open(source.with_suffix(".pdf")) as pdf:
            pdf.save(folder / f"en-{name}.pdf", encryption=pikepdf.Encryption(owner="own", user=PASSWORD, **options))
        (folder / f"en-{name}.txt").write_text(source.with_suffix(".txt").read_text())


def _object_streams(folder, random):
    import pikepdf

    with pikepdf.open(folder / "rl-prose1.pdf") as pdf:
        pdf.save(folder / "pk-objstm.pdf", object_stream_mode=pikepdf.ObjectStreamMode.generate)
    (folder / "pk-objstm.txt").write_text((folder / "rl-prose1.txt").read_text())


def _damaged(folder, random):
    """What readers repair: a wrong, a missing and a cut-off table of objects, junk before the header; and flipped bytes."""
    whole, text = (folder / "rl-prose2.pdf").read_bytes(), (folder / "rl-prose2.txt").read_text()
    start = whole.rindex(b"startxref")
    broken = {
        "badxref": whole[:start] + b"startxref\n7\n%%EOF\n",
        "noxref": whole[: whole.rindex(b"xref\n", 0, start)],
        "junkhead": b"HTTP/1.1 200 OK\r\n\r\n" + whole,
        "trunc95": whole[: len(whole) * 95 // 100],
    }
    for name, content in broken.items():
        (folder / f"co-{name}.pdf").write_bytes(content)
        (folder / f"co-{name}.txt").write_text(text)
    for number in range(FLIPPED):
        flipped = bytearray(whole)
        for _ in range(1 + number * 3):
            flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
        (folder / f"co-flip{number:02}.pdf").write_bytes(flipped)


def _long(folder, random):
    """700 pages, for the time to the first of them."""
    canvas = _canvas(folder, "rl-long700")
    for _ in range(700):
        canvas.setFont("Helvetica", 10)
        _column(canvas, 60, lines(random, "en", 40))
        canvas.showPage()
    canvas.save()
