"""O1 and O2 for scans, C1 to C3 for tables, I1 for images."""

import shutil
import statistics
import sys
from collections import defaultdict

import metrics
import peers
import process
from table import Row

SCAN_KINDS = ("gradient", "rot90", "skew")
# What the peers run, each in an interpreter of its own; the file is the argument. DuckDB's own guess at the dialect stumbles over a
# quoted line break far into the file, so it is told.
DUCKDB = """
import duckdb, sys
table = f"read_csv('{sys.argv[1]}', delim=',', quote='\\"', escape='\\"', header=true)"
duckdb.sql(STATEMENT.format(table=table)).fetchall()
"""
DUCKDB_PROFILE = "STATEMENT = 'summarize from {table}'" + DUCKDB
DUCKDB_QUERY = "STATEMENT = 'select country, avg(population) from {table} group by country'" + DUCKDB
POLARS_PROFILE = "import polars, sys; d = polars.read_csv(sys.argv[1]); d.describe(); [d[c].n_unique() for c in d.columns]"
POLARS_QUERY = """
import polars, sys
polars.scan_csv(sys.argv[1]).group_by("country").agg(polars.col("population").mean()).collect()
"""


def scan_rows(corpus, quire):
    """O1 per kind of neglect, and O2."""
    for kind in SCAN_KINDS:
        yield _scan(quire, kind, corpus.scans(kind))
    yield Row("O2", "rasterise 200 dpi against pdfium", "no slower", {}, None, ["no command of quire draws a page; GET /api/jobs/{id}/pages/{n} does"])


def _scan(quire, kind, files):
    """Tesseract alone and quire in turn on each file."""
    pairs, cpu = [], [0.0, 0.0]
    has_tesseract = shutil.which("tesseract") is not None
    for file in files:
        run, document = quire.extract(file.path)
        cpu[0] += run.cpu_s
        plain = peers.tesseract(file.path) if has_tesseract else None
        cpu[1] += plain.cpu_s if plain else 0
        pairs.append((file, metrics.cer(file.truth, peers.text_of(document)), metrics.cer(file.truth, plain.text) if plain else 1.0))
    ours, theirs = (statistics.mean(pair[at] for pair in pairs) for at in (1, 2))
    ratio = cpu[0] / cpu[1] if cpu[1] else float("inf")
    values = {"quire": f"{ours:.3f}, {ratio:.1f} x CPU", "tesseract": f"{theirs:.3f}" if has_tesseract else "not installed"}
    notes = [f"{f.path.name} {error:.3f}" for f, error, _ in pairs if error > 0.05]
    return Row("O1", f"CER on {kind} ({len(pairs)} pages)", "<= .05 each at <= 2 x CPU", values, not notes and ratio <= 2, notes)


def table_rows(corpus, quire, annotated):
    """C1 per subset, C2, C3."""
    yield from _delimiters(corpus.annotated_tables(annotated), quire, bool(annotated))
    yield _profile(corpus.big_table(), quire)
    yield _query(corpus.big_table(), quire)


def _delimiters(tables, quire, annotated):
    sniffers = {"quire": quire_delimiter(quire), **{name: call for name, call in _sniffers().items() if call}}
    hits, wrong, crashed = defaultdict(lambda: defaultdict(list)), [], []
    for subset, path, delimiter in tables:
        for name, sniff in sniffers.items():
            found = sniff(path)
            hits[subset][name].append(found == delimiter)
            if name == "quire" and found != delimiter:
                wrong.append(f"{subset}/{path.name}: {found!r} for {delimiter!r}")
            if name == "quire" and found == "crash":
                crashed.append(path.name)
        hits[subset]["always comma"].append(delimiter == ",")
    yield from _subset_rows(hits, wrong, crashed, annotated)


def _subset_rows(hits, wrong, crashed, annotated):
    for subset, by_name in hits.items():
        rate = {name: statistics.mean(found) for name, found in by_name.items()}
        comma = rate.pop("always comma")
        notes = [text for text in wrong if text.startswith(f"{subset}/")][:40] + [f"crash on {name}" for name in crashed]
        values = {name: f"{value:.3f}" for name, value in rate.items()}
        what = f"delimiters, {subset} ({len(by_name['quire'])} files; always comma {comma:.3f})"
        met = rate["quire"] >= max(0.97, comma) and not crashed
        yield Row("C1", what, ">= .97, > always comma", values, met, notes)
    if not annotated:
        yield Row("C1", "delimiters, annotated real files", ">= .97", {}, None, ["give --annotated the folder of the CSVsniffer set"])


def quire_delimiter(quire):
    """The delimiter in quire's document; what became of the file where there is none."""

    def sniff(path):
        run, document = quire.extract(path)
        if document is None:
            return "crash" if run.killed or "crashed" in run.message else run.message[-60:]
        return document["table"]["delimiter"] if document["table"] else f"read as {document['media']}"

    return sniff


def _sniffers():
    """Peers on the first 6,144 characters; other encodings than UTF-8 as Latin-1."""
    import csv

    def text(path):
        content = path.read_bytes()[: 4 * 6144]
        try:
            return content.decode("utf-8-sig")[:6144]
        except UnicodeDecodeError:
            return content.decode("latin-1")[:6144]

    def quietly(call):
        def sniff(path):
            try:
                return call(path)
            except Exception:  # noqa: BLE001 - an error is a wrong answer
                return None

        return sniff

    def clever(path):
        import clevercsv

        return clevercsv.Sniffer().sniff(text(path)).delimiter

    def duck(path):
        import duckdb

        return duckdb.sql("select Delimiter from sniff_csv(?)", params=[str(path)]).fetchall()[0][0]

    return {
        "csv.Sniffer": quietly(lambda path: csv.Sniffer().sniff(text(path)).delimiter),
        "clevercsv": quietly(clever) if peers.installed("clevercsv") else None,
        "duckdb": quietly(duck) if peers.installed("duckdb") else None,
    }


def _peers(path, **codes):
    """The cost of each peer that is installed."""
    runs = {name: process.program([sys.executable, "-c", code, str(path)], cpu_s=120) for name, code in codes.items() if peers.installed(name)}
    return {name: _cost(run) for name, run in runs.items()}


def _profile(path, quire):
    size = path.stat().st_size
    run, document = quire.extract(path)
    rows = document["table"]["rows"] if document and document["table"] else 0
    values = _peers(path, polars=POLARS_PROFILE, duckdb=DUCKDB_PROFILE)
    # A goal for 200 MB; a smaller file gets its share of the time.
    bar = 1.0 * size / (200 << 20)
    met = run.ok and run.cpu_s <= bar and run.rss_mib <= 64
    what = f"full profile of {size >> 20} MiB CSV ({rows:,} rows)"
    return Row("C2", what, f"<= {bar:.2f} CPU s, <= 64 MiB", {"quire": _cost(run), **values}, met, [run.message[-120:]] if not run.ok else [])


def _cost(run):
    return f"{run.cpu_s:.2f} s, {run.rss_mib:.0f} MiB" if run.ok else f"failed: {run.message[-60:]}"


def _query(path, quire):
    """The peers' time stands there even while quire has no command for a query."""
    values = _peers(path, polars=POLARS_QUERY, duckdb=DUCKDB_QUERY)
    return Row("C3", "group-by over the same file", "<= 1.5 x best peer, same numbers", values, None, ["no command of quire runs a typed query on a file yet"])


def image_rows(corpus, quire):
    """I1: what Pillow decodes, and the bomb."""
    files = corpus.images()
    if not peers.installed("PIL"):
        return [Row("I1", "images decoded where Pillow decodes", ">= 98 %", {}, None, ["needs Pillow"])]
    decodable = [f for f in files if process.function(_pillow, f.path).ok]
    runs = {f: quire.extract(f.path) for f in files}
    missed = [f for f in decodable if runs[f][1] is None]
    crashed = [f for f in files if runs[f][0].killed or "crashed" in runs[f][0].message]
    share = 1 - len(missed) / max(1, len(decodable))
    notes = [f"{f.path.name}: {runs[f][0].message[-70:]}" for f in missed + crashed]
    bomb, document = quire.extract(corpus.generated / "bomb" / "bomb-huge.png")
    values = {"quire": f"{share:.3f}, {len(crashed)} crashes", "Pillow": f"1 ({len(decodable)} of {len(files)})"}
    cost = {"quire": f"refused, {bomb.cpu_s * 1000:.0f} ms with the program's start" if document is None else "decoded"}
    return [
        Row("I1", f"images decoded where Pillow decodes ({len(decodable)} files)", ">= .98, 0 panics", values, share >= 0.98 and not crashed, notes),
        Row("I1", "60,000 x 60,000 PNG", "refused in < 5 ms", cost, document is None and bomb.cpu_s < 0.05, []),
    ]


def _pillow(path):
    from PIL import Image

    with Image.open(path) as image:
        image.load()
