"""P1 to P9: what PDF readers make of known, real, damaged and hostile files."""

import statistics
from itertools import combinations

import metrics
import peers
from table import Row

# Consensus of the three reference engines: pairwise word F1 and words, as research on the same corpus defined it.
AGREE_F1, AGREE_WORDS = 0.95, 20
# Fewer words than this from two references do not make an empty answer a silent blank.
BLANK_WORDS = 5
# A flipped file gives text when it gives this many words.
SAVED_WORDS = 20
CPU_GOAL_S, RSS_GOAL_MIB = 20, 1024


class PdfRuns:
    """Every reader over every file, once."""

    def __init__(self, corpus, quire):
        self.corpus, self.quire = corpus, quire
        self.readers = {"quire": self._quire, **{name: call for name, call in peers.pdf_readers().items() if call}}
        self.documents = {}
        files = corpus.known_pdfs() + corpus.fuzzed_pdfs() + corpus.real_pdfs() + corpus.other_pdfs()
        self.runs = {}
        # Reader after reader on each file, so that a busy moment of the machine hits all of them alike.
        for number, file in enumerate(files):
            if number % 40 == 0:
                print(f"  pdf {number}/{len(files)}", flush=True)
            for name, reader in self.readers.items():
                self.runs[name, file] = reader(file.path, file.password)

    def _quire(self, path, password):
        run, document = self.quire.extract(path, password)
        self.documents[path] = document
        run.output = peers.text_of(document).encode()
        return run

    def rows(self):
        """The table's rows, misses with the names of their files."""
        return [self._p1(), *self._known(), self._p5(), self._p6(), self._p7(), self._p8(), self._p9()]

    def _each(self, value):
        return {name: value(name) for name in self.readers}

    def _files(self):
        return list(dict.fromkeys(file for _, file in self.runs))

    def _p1(self):
        def offends(name, file):
            run = self.runs[name, file]
            crashed = run.killed or "parser crashed" in run.message or "panic" in run.message.lower()
            return crashed or run.cpu_s > CPU_GOAL_S or run.rss_mib > RSS_GOAL_MIB

        files = self._files()
        bad = {name: [f for f in files if offends(name, f)] for name in self.readers}
        notes = [
            f"{f.path.name}: {self.runs['quire', f].cpu_s:.1f} s, {self.runs['quire', f].rss_mib:.0f} MiB, {self.runs['quire', f].message[-90:]}"
            for f in bad["quire"]
        ]
        values = self._each(lambda name: f"{len(files) - len(bad[name])}/{len(files)}")
        return Row("P1", "files within 20 CPU s and 1 GiB, no crash", "all", values, not bad["quire"], notes)

    def _scores(self, name, group=None):
        files = [f for f in self.corpus.known_pdfs() if group in (None, f.group)]
        return {f: (metrics.word_f1(f.truth, self.runs[name, f].text), metrics.nid(f.truth, self.runs[name, f].text)) for f in files}

    def _known(self):
        scores = {name: self._scores(name) for name in self.readers}

        def mean(name, part, group=None):
            return statistics.mean(pair[part] for f, pair in scores[name].items() if group in (None, f.group))

        def worst(part, bar, group=None):
            pairs = [(pair[part], f.path.name) for f, pair in scores["quire"].items() if group in (None, f.group)]
            return [f"{name} {value:.3f}" for value, name in sorted(pairs) if value < bar][:12]

        count = len(scores["quire"])
        goals = [
            ("P2", f"known text, word F1 ({count} files)", 0, None, 0.995),
            ("P2", "known text, order NID", 1, None, 0.975),
            ("P3", "right-to-left, order NID", 1, "rtl", 0.95),
            ("P4", "interleaved columns, order NID", 1, "interleaved", 0.995),
        ]
        for number, what, part, group, bar in goals:
            values = self._each(lambda name: mean(name, part, group))
            formatted = {name: f"{value:.3f}" for name, value in values.items()}
            yield Row(number, what, f">= {bar}", formatted, values["quire"] >= bar, worst(part, bar, group))

    def _references(self, file):
        return [self.runs[name, file].text for name in ("pdftotext", "pypdfium2", "PyMuPDF") if name in self.readers]

    def _p5(self):
        agreed = []
        for file in self.corpus.real_pdfs():
            texts = self._references(file)
            pairs = [metrics.word_f1(a, b) for a, b in combinations(texts, 2)]
            if len(texts) == 3 and min(pairs) >= AGREE_F1 and len(metrics.tokens(texts[0])) >= AGREE_WORDS:
                agreed.append((file, texts[0]))
        if not agreed:
            return Row("P5", "real files that agree with the consensus", ">= 0.95", {}, None, ["needs pdftotext, pypdfium2, PyMuPDF and the corpus"])
        scores = {name: [metrics.word_f1(text, self.runs[name, f].text) for f, text in agreed] for name in self.readers}
        share = self._each(lambda name: sum(score >= AGREE_F1 for score in scores[name]) / len(agreed))
        low = self._each(lambda name: sum(score < 0.5 for score in scores[name]))
        values = {name: f"{share[name]:.3f}, {low[name]} < .5" for name in self.readers}
        notes = [f"{f.path.name} {score:.3f}" for (f, _), score in zip(agreed, scores["quire"]) if score < AGREE_F1]
        met = share["quire"] >= 0.95 and low["quire"] <= 1
        return Row("P5", f"consensus files >= .95 ({len(agreed)} files)", ">= 0.95, <= 1 below .5", values, met, notes)

    def _p6(self):
        def is_blank(name, file):
            wordy = [text for text in self._references(file) if len(metrics.tokens(text)) >= BLANK_WORDS]
            return len(wordy) >= 2 and not metrics.tokens(self.runs[name, file].text)

        blanks = {name: [f for f in self.corpus.real_pdfs() if is_blank(name, f)] for name in self.readers}
        notes = [f"{f.path.name}: {self.runs['quire', f].message[-100:] or 'no word of why'}" for f in blanks["quire"]]
        values = self._each(lambda name: str(len(blanks[name])))
        return Row("P6", f"silent blanks on {len(self.corpus.real_pdfs())} real files", "<= 2", values, len(blanks["quire"]) <= 2, notes)

    def _p7(self):
        files = self.corpus.fuzzed_pdfs()

        def saved(name):
            return [f for f in files if len(metrics.tokens(self.runs[name, f].text)) >= SAVED_WORDS]

        counts = self._each(lambda name: len(saved(name)))
        best = max((count for name, count in counts.items() if name != "quire"), default=0)
        notes = [f"{f.path.name}: {self.runs['quire', f].message[-80:]}" for f in files if f not in saved("quire")]
        values = {name: f"{count}/{len(files)}" for name, count in counts.items()}
        return Row("P7", "damaged files giving text", f">= best peer ({best})", values, counts["quire"] >= best, notes)

    def _p8(self):
        """Bombs are left out: who runs into a limit would be charged the limit."""
        files = [f for f in self._files() if f not in self.corpus.other_pdfs()]
        cpu = self._each(lambda name: sum(self.runs[name, f].cpu_s for f in files))
        bar = 1.1 * cpu.get("kreuzberg", 0)
        slow = sorted(files, key=lambda f: -self.runs["quire", f].cpu_s)[:6]
        notes = [f"{f.path.name} {self.runs['quire', f].cpu_s:.2f} s" for f in slow] if cpu["quire"] > bar else []
        met = cpu["quire"] <= bar if bar else None
        return Row("P8", f"CPU s for {len(files)} files", f"<= {bar:.1f} (1.1 x kreuzberg)", {n: f"{s:.1f}" for n, s in cpu.items()}, met, notes)

    def _p9(self):
        what, goal = "first page of 700, share of the file's CPU", "<= 5 %"
        if not self.quire.has("extract", "--pages"):
            return Row("P9", what, goal, {}, None, ["`quire extract` has no --pages yet"])
        whole, _ = self.quire.extract(self.corpus.long_pdf())
        first, _ = self.quire.extract(self.corpus.long_pdf(), options=["--pages", "1"])
        share = first.cpu_s / whole.cpu_s
        return Row("P9", what, goal, {"quire": f"{share:.1%} of {whole.cpu_s:.2f} s"}, share <= 0.05, [])
