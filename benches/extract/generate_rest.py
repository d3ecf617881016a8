"""Scans, CSV files and images with known content."""

import json

from words import lines

SCAN_SIZE = (1654, 2339)  # A4 at 200 dpi
BIG_ROWS = 2_880_000
BIG_BYTES = 200 << 20
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def scans(folder, random):
    """One page in several states of neglect, as PNG or JPEG with its text."""
    from PIL import Image, ImageFilter

    states = {
        "clean": lambda page: page,
        "gradient": lambda page: Image.composite(page, Image.new("L", page.size, 20), _ramp(page.size)),
        "rot90": lambda page: page.rotate(90, expand=True),
        "rot180": lambda page: page.rotate(180),
        "skew-m4": lambda page: page.rotate(-4, fillcolor=255, resample=Image.Resampling.BICUBIC),
        "skew-p3": lambda page: page.rotate(3, fillcolor=255, resample=Image.Resampling.BICUBIC),
        "noise": lambda page: Image.blend(page, Image.effect_noise(page.size, 90), 0.25).filter(ImageFilter.GaussianBlur(0.6)),
    }
    for name, state in states.items():
        texts = lines(random, "en", 30, 7)
        state(_page(texts)).save(folder / f"sc-{name}.{'jpg' if name == 'gradient' else 'png'}", dpi=(200, 200))
        (folder / f"sc-{name}.txt").write_text("\n".join(texts) + "\n")


def _page(texts):
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("L", SCAN_SIZE, 255)
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf", 30)
    for row, text in enumerate(texts):
        ImageDraw.Draw(page).text((180, 200 + 62 * row), text, fill=0, font=font)
    return page


def _ramp(size):
    from PIL import Image

    return Image.linear_gradient("L").resize(size).point(lambda value: 75 + value * 180 // 255)


def tables(folder, random):
    """CSV files of many dialects; `dialects.json` says which."""
    dialects = {}
    for name, delimiter in DELIMITERS.items():
        for number, quote in enumerate(('"', "'", None)):
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
                file = f"{name}-{number}-{encoding}.csv"
                (folder / file).write_bytes(_table(random, delimiter, quote).encode(encoding, "replace"))
                dialects[file] = delimiter
    (folder / "dialects.json").write_text(json.dumps(dialects))


def _table(random, delimiter, quote):
    """Thirty rows whose text holds the other delimiters, and its own where there are quotes."""
    rows = [delimiter.join(("id", "name", "amount", "note"))]
    for number in range(30):
        note = " ".join(lines(random, "de", 1, 4)) + random.choice((", and", "; so", " - no", ": x", ""))
        if quote:
            note = quote + note + delimiter + random.choice(("a", "b\nc", quote * 2)) + quote
        elif delimiter in note:
            note = note.replace(delimiter, " ")
        decimal = "," if delimiter == ";" else "."
        rows.append(delimiter.join((str(number), random.choice(("Ann", "Bö", "Cleo")), f"{random.randrange(999)}{decimal}5", note)))
    return "\n".join(rows) + "\n"


def big_table(path, random, share=1.0):
    """The 200 MB table (or a share of it): 2.88 million rows of ten columns with quoted commas, quotes and newlines."""
    if path.exists():
        return
    countries = [f"Country {number:03}" for number in range(180)]
    notes = ['"said ""yes"", left"', '"two\nlines"', "plain", '"a, b"', ""]
    part = path.with_suffix(".part")
    with part.open("w") as out:
        out.write("id,country,year,population,area,rate,flag,day,code,note\n")
        for number in range(int(BIG_ROWS * share)):
            r = random.getrandbits(60)
            out.write(
                f"{number},{countries[r % 180]},{1900 + r % 120},{r % 99_999_937},{r % 9_999_991 / 10},{(r >> 20) % 1000 / 1000},"
                f"{'true' if r & 64 else 'false'},20{r % 10}{(r >> 3) % 10}-0{1 + (r >> 8) % 9}-1{(r >> 5) % 10},K{(r >> 30) % 50_000:05},{notes[r % 5]}\n"
            )
    part.rename(path)


def images(folder, random):
    """Every kind of pixel in every format that quire reads, and each file once more cut in half."""
    from PIL import Image

    base = Image.effect_noise((64, 48), 60)
    kinds = {
        "png": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
        "jpg": ["L", "RGB", "CMYK"],
        "gif": ["L", "P", "RGB"],
        "webp": ["RGB", "RGBA"],
        "tif": ["1", "L", "RGB", "RGBA", "CMYK", "I;16"],
        "bmp": ["1", "L", "P", "RGB", "RGBA"],
    }
    for extension, modes in kinds.items():
        for mode in modes:
            path = folder / f"im-{mode.replace(';', '')}.{extension}"
            base.convert(mode).save(path)
            content = path.read_bytes()
            path.with_name(f"cut-{path.name}").write_bytes(content[: len(content) // 2])
    frames = [base.rotate(turn) for turn in (0, 90, 180)]
    for extension in ("gif", "webp", "png", "tif"):
        frames[0].save(folder / f"im-animated.{extension}", save_all=True, append_images=frames[1:])
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        base.save(folder / f"im-{name}.tif", compression=name)
