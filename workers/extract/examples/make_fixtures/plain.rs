//! HTML, Markdown, text, mail and archives, the nasty ones among them.

use super::Case;
use super::package::{container, mark_encrypted};

/// Bytes that one entry of the archive inflates to: more than a reader should take.
const BOMB_BYTES: usize = 70 << 20;

pub(super) fn cases() -> Vec<Case> {
    vec![
        market(),
        hidden(),
        handbook(),
        raw_html(),
        latin(),
        utf16(),
        parcel(),
        nested_zip(),
        bomb(),
        traversal(),
        encrypted(),
        letter(),
        forwarded(),
        broken_mail(),
    ]
}

fn market() -> Case {
    let html = "<!DOCTYPE html><html lang=en><head><title>The weekly market</title></head><body>\
        <h1>The weekly market</h1><p>Stalls open at <b>7</b> o&rsquo;clock &amp; close at noon.</p>\
        <ul><li>Fish<ul><li>only on Fridays</ul><li>Bread</ul>\
        <table><tr><th>stall<th>rent<tr><td>fish<td>4 crowns<tr><td>bread | rolls<td>3 crowns</table>\
        <p>See <a href='https://example.org/rules'>the rules</a>.<pre>line 1\n  line 2</pre></body></html>";
    Case::snapshot(
        "html/market",
        "html",
        "headings, nested lists, a table without end tags, entities, a link, preformatted text",
        html,
    )
}

fn hidden() -> Case {
    let html = "<html><head><title>Notice</title><style>p{color:red}</style><script>document.write('from a script')</script></head><body>\
        <p>Shown.</p><script>alert('no')</script><noscript>noscript text</noscript><p hidden>hidden by attribute</p>\
        <div style=\"display:none\">hidden by style</div><!-- a comment --><template>a template</template>\
        <p aria-hidden=\"true\">for eyes only</p><svg><text>drawn text</text></svg><textarea>typed</textarea>\
        <iframe srcdoc=\"&lt;p&gt;framed\"></iframe><p>![x](http://evil.example/?leak) &lt;img src=x&gt; [link](javascript:x)</p></body></html>";
    Case::snapshot(
        "html/hidden",
        "html",
        "scripts, styles, hidden elements, and text that looks like markup",
        html,
    )
}

fn handbook() -> Case {
    let markdown = "# Handbook of the pump\n\nThe pump lifts *12 litres* a second[^1].\n\n## Faults\n\n1. No water: open the valve.\n2. Noise:\n   - bearings dry\n   - stones in the rack\n\n| part | spare |\n|------|-------|\n| seal | 2 |\n| rotor \\| shaft | 1 |\n\n```sh\npump --start # now\n```\n\n- [x] checked in May\n\n> Never run it dry.\n\n[^1]: At 3 m head.\n";
    Case::snapshot(
        "markdown/handbook",
        "md",
        "headings, ordered and nested lists, a table with an escaped bar, code, a task, a quote, a footnote",
        markdown,
    )
}

fn raw_html() -> Case {
    let markdown = "# Report\n\nBefore <script>alert(1)</script> after.\n\n<div hidden>\nsecret\n</div>\n\n[click](javascript:alert(1)) ![track](http://evil.example/p.gif)\n\nUnclosed `code and **bold\n";
    Case::snapshot(
        "markdown/raw-html",
        "md",
        "HTML, links and pictures within Markdown, marks that are never closed",
        markdown,
    )
}

fn latin() -> Case {
    let text = "Satzung der M\u{fc}hle\n\nDer M\u{fc}ller h\u{e4}lt das Wehr in gutem Zustand und l\u{e4}\u{df}t niemanden ohne Erlaubnis auf den Steg.\n\x0cZweite Seite: Geb\u{fc}hren f\u{fc}r Gr\u{fc}nfutter.\n";
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    Case::snapshot(
        "text/latin-1",
        "txt",
        "ISO 8859-1 with umlauts, two pages parted by a form feed",
        bytes,
    )
}

fn utf16() -> Case {
    let text =
        "\u{feff}Line one\r\nLine two \u{2013} with a dash\r\n\r\nLast paragraph, \u{6a4b}.\r\n";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    Case::snapshot(
        "text/utf-16",
        "txt",
        "UTF-16 with a byte order mark and CRLF",
        bytes,
    )
}

fn parcel() -> Case {
    let input = container(&[
        ("letters/1.txt", "Dear miller,\n\nthe weir leaks.\n"),
        ("letters/2.md", "# Reply\n\nIt is mended.\n"),
        ("prices.csv", "part,crowns\nseal,2\nrotor,40\n"),
        (
            "more/levels.csv",
            "gauge,level\nMill Weir,212\nAlder Bridge,184\n",
        ),
        ("__MACOSX/letters/._1.txt", "junk"),
        (".DS_Store", "junk"),
    ]);
    Case::snapshot(
        "zip/parcel",
        "zip",
        "text, Markdown and two tables in folders, and what file managers leave behind",
        input,
    )
}

fn nested_zip() -> Case {
    let inner = container(&[("inner.txt", "You should not see this.")]);
    let input = container(&[("outer.txt", b"Outer text.".to_vec()), ("inner.zip", inner)]);
    Case::snapshot(
        "zip/nested",
        "zip",
        "an archive within an archive, which is not opened",
        input,
    )
}

fn bomb() -> Case {
    let input = container(&[
        ("bomb.txt", vec![b'A'; BOMB_BYTES]),
        ("good.txt", b"Text beside the bomb.".to_vec()),
    ]);
    Case::snapshot(
        "zip/bomb",
        "zip",
        "an entry that inflates from 70 KB to 70 MiB",
        input,
    )
}

fn traversal() -> Case {
    let input = container(&[
        ("../../etc/passwd.txt", "climbing"),
        ("/etc/shadow.txt", "absolute"),
        ("a/../b.txt", "roundabout"),
        ("C:\\windows\\win.txt", "backslashes"),
        ("line\nbreak.txt", "two lines"),
    ]);
    Case::snapshot(
        "zip/traversal",
        "zip",
        "names that climb out of the folder, absolute names, control characters: names are only shown",
        input,
    )
}

fn encrypted() -> Case {
    let input = container(&[("open.txt", "Open text."), ("secret.txt", "Secret text.")]);
    Case::snapshot(
        "zip/encrypted",
        "zip",
        "one entry is encrypted",
        mark_encrypted(input, "secret.txt"),
    )
}

fn letter() -> Case {
    let mail = "From: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <joerg@example.org>\r\nTo: Anna <anna@example.org>, \"Miller, Bert\" <bert@example.org>\r\nSubject: =?utf-8?B?V2VociDigJMgZHJpbmdlbmQ=?=\r\nDate: Fri, 20 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=\"y\"\r\n\r\n--y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nThe weir =E2=80=93 it leaks.\r\n\r\nJ=C3=B6rg\r\n--y\r\nContent-Type: text/html\r\n\r\n<p>HTML twin</p>\r\n--y--\r\n--x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"levels.csv\"\r\nContent-Transfer-Encoding: base64\r\n\r\nZ2F1Z2UsbGV2ZWwKTWlsbCBXZWlyLDIxMgpBbGRlciBCcmlkZ2UsMTg0Cg==\r\n--x--\r\n";
    Case::snapshot(
        "eml/letter",
        "eml",
        "encoded names and subject, quoted-printable text beside HTML, a table as attachment",
        mail,
    )
}

fn forwarded() -> Case {
    let inner = "From: carl@example.org\r\nSubject: inner message\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"z\"\r\n\r\n--z\r\nContent-Type: text/plain\r\n\r\nInner text.\r\n--z\r\nContent-Type: text/plain; name=\"deep.txt\"\r\nContent-Disposition: attachment; filename=\"deep.txt\"\r\n\r\nDeepest text.\r\n--z--\r\n";
    let mail = format!(
        "From: anna@example.org\r\nTo: bert@example.org\r\nSubject: Fwd: inner message\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--x\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"inner.eml\"\r\n\r\n{inner}\r\n--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"note.txt\"\r\n\r\nA note beside it.\r\n--x--\r\n"
    );
    Case::snapshot(
        "eml/forwarded",
        "eml",
        "a message within a message, with an attachment of its own",
        mail,
    )
}

fn broken_mail() -> Case {
    let mail = "From: anna@example.org\r\nSubject: =?utf-9?q?broken\r\nDate: yesterday\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\nPreamble that nobody reads.\r\n--x\r\nContent-Type: text/plain; charset=klingon-8\r\nContent-Transfer-Encoding: base64\r\n\r\nVGhlIHdlaXIgbGVha3Mu!!!\r\n--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../../empty.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n@@@@\r\n--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"cut.txt\"\r\n\r\nThe boundary is never closed";
    Case::snapshot(
        "eml/broken",
        "eml",
        "an unknown charset, base64 that breaks off, an empty attachment with a climbing name, no closing boundary",
        mail,
    )
}
