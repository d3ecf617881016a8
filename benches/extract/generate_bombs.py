"""PDFs and images of a few kilobytes that cost an unwary reader gigabytes or hours. None owes any text."""

import struct
import zlib

FLATE_BYTES = 1 << 30
FORM_DEPTH = 28
NESTED_ARRAYS = 200_000
OBJECTS_ON_A_PAGE = 60_000


def make(folder):
    """Everything into `folder`."""
    once = zlib.compress(_zeros_compressed(FLATE_BYTES), 9)
    _pdf(folder / "bomb-flate.pdf", [_page(4), _stream(once, b"/Filter[/FlateDecode/FlateDecode]")])
    _pdf(folder / "bomb-form.pdf", [_page(4, b"/XObject<</F 5 0 R>>"), _stream(b"/F Do"), *_forms()])
    arrays = b"[" * NESTED_ARRAYS + b"]" * NESTED_ARRAYS
    _pdf(folder / "bomb-nested.pdf", [_page(4, b"/A 5 0 R"), _stream(b"BT ET"), arrays])
    many = b"".join(b"/F%d 5 0 R" % number for number in range(OBJECTS_ON_A_PAGE))
    shown = b"".join(b"/F%d Do " % number for number in range(OBJECTS_ON_A_PAGE))
    _pdf(folder / "bomb-objects.pdf", [_page(4, b"/XObject<<%s>>" % many), _stream(shown), _form(b"")])
    (folder / "bomb-huge.png").write_bytes(_huge_png())


def _zeros_compressed(size):
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def _page(content, resources=b""):
    return b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<<%s>>>>" % (content, resources)


def _stream(data, entries=b""):
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def _form(content, resources=b""):
    return _stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<<%s>>" % resources)


def _forms():
    """Each form draws the next one twice: 2^FORM_DEPTH drawings."""
    first = 5
    inner = [_form(b"/F Do /F Do", b"/XObject<</F %d 0 R>>" % (first + depth + 1)) for depth in range(FORM_DEPTH)]
    return [*inner, _form(b"0 0 1 1 re f")]


def _pdf(path, objects):
    """Objects 3 and up are `objects`, the first of which is the only page."""
    bodies = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", *objects]
    out, offsets = bytearray(b"%PDF-1.5\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)
    path.write_bytes(out)


def _huge_png():
    """60,000 x 60,000 pixels by its header, a few bytes by its data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")
