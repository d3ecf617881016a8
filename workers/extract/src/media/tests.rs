//! What files are taken for.

use super::*;

#[test]
fn names_come_back() {
    for &media in MediaType::ALL {
        assert_eq!(MediaType::from_name(media.name()), Some(media));
        assert_eq!(
            serde_json::to_string(&media).unwrap(),
            format!("{:?}", media.name())
        );
    }
    assert_eq!(MediaType::from_name("jxl"), None);
}

#[test]
fn magic_numbers_win_over_names() {
    assert_eq!(
        sniff(b"\x89PNG\r\n\x1a\n....", "table.csv"),
        Some(MediaType::Png)
    );
    assert_eq!(sniff(b"\xff\xd8\xff\xe0", "x"), Some(MediaType::Jpeg));
    assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 ", "x"), Some(MediaType::Webp));
    assert_eq!(sniff(b"GIF89a..", "x.png"), Some(MediaType::Gif));
    assert_eq!(sniff(b"MM\0*\0\0\0\x08", "x"), Some(MediaType::Tiff));
    assert_eq!(sniff(b"junk\n%PDF-1.4\n", "x.csv"), Some(MediaType::Pdf));
    let icon = b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x04\0\0\0\x16\0\0\0";
    assert_eq!(sniff(icon, "x"), Some(MediaType::Ico));
    for anymap in [
        "P5 4 4 255\n",
        "P3\n# made by hand\n2 2\n255\n",
        "P7\nWIDTH 2\n",
    ] {
        assert_eq!(
            sniff(anymap.as_bytes(), "x"),
            Some(MediaType::Pnm),
            "{anymap}"
        );
    }
    assert_eq!(
        sniff(b"P1 is the first of five pumps.\n", "x"),
        Some(MediaType::Text)
    );
    assert_eq!(
        sniff(b"\0\0\0\x14ftypmif1\0\0\0\0avif", "x"),
        Some(MediaType::Avif)
    );
    let tga = b"\0\0\x02\0\0\0\0\0\0\0\0\0\x04\0\x04\0\x18\0";
    assert_eq!(sniff(tga, "x.tga"), Some(MediaType::Tga));
    assert_eq!(sniff(tga, "x.png"), None);
}

#[test]
fn tables_are_known_by_their_rows() {
    assert_eq!(sniff(b"a,b\n1,2\n3,4\n", "upload"), Some(MediaType::Csv));
    assert_eq!(
        sniff(b"a\tb\n1\t2\n3\t4\n", "upload.csv"),
        Some(MediaType::Tsv)
    );
    assert_eq!(sniff(b"a;b\n1;2\n3;4\n", "upload"), Some(MediaType::Csv));
}

#[test]
fn a_name_only_breaks_a_tie_between_texts() {
    assert_eq!(
        sniff(b"name\nanna\nbert\n", "one.csv"),
        Some(MediaType::Csv)
    );
    assert_eq!(
        sniff(b"name\nanna\nbert\n", "one.tsv"),
        Some(MediaType::Tsv)
    );
    assert_eq!(
        sniff(b"name\nanna\nbert\n", "one.txt"),
        Some(MediaType::Text)
    );
    assert_eq!(
        sniff(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0", "one.csv"),
        None
    );
    assert_eq!(sniff(b"", "one.csv"), None);
}

#[test]
fn prose_and_markup_are_no_tables() {
    let prose = b"It was the best of times, it was the worst of times.\nIt was the age of wisdom.\nIt was foolish, and dark.\n";
    assert_eq!(sniff(prose, "x.txt"), Some(MediaType::Text));
    assert_eq!(sniff(prose, "x.md"), Some(MediaType::Markdown));
    assert_eq!(
        sniff(b"{\"a\": 1, \"b\": 2}\n{\"a\": 2, \"b\": 3}\n", "x"),
        Some(MediaType::Text)
    );
    assert_eq!(
        sniff(b"<html>\n<p>a, b</p>\n<p>c, d</p>\n</html>", "x"),
        Some(MediaType::Html)
    );
}

#[test]
fn text_that_begins_with_bm_is_no_bitmap() {
    assert_eq!(
        sniff(b"BMW,VW\n1,2\n3,4\n5,6\n7,8\n9,10\n", "x"),
        Some(MediaType::Csv)
    );
}

#[test]
fn containers_are_known_by_their_parts() {
    let parts =
        |name: &str| format!("PK\x03\x04..[Content_Types].xml..PK\x03\x04..{name}..").into_bytes();
    assert_eq!(
        sniff(&parts("word/document.xml"), "x"),
        Some(MediaType::Docx)
    );
    assert_eq!(
        sniff(&parts("xl/workbook.xml"), "x.zip"),
        Some(MediaType::Xlsx)
    );
    assert_eq!(
        sniff(&parts("_rels/.rels"), "x.PPTX"),
        Some(MediaType::Pptx)
    );
    assert_eq!(sniff(b"PK\x03\x04..a.txt", "x.docx"), Some(MediaType::Zip));
    let types_last = b"PK\x03\x04..docProps/app.xml..PK\x03\x04..xl/theme/theme1.xml..";
    assert_eq!(sniff(types_last, "x.xlsx"), Some(MediaType::Xlsx));
    assert_eq!(sniff(types_last, "x.zip"), Some(MediaType::Zip));
    assert_eq!(sniff(types_last, "x.docx"), Some(MediaType::Zip));
}

#[test]
fn mail_is_known_by_its_head() {
    let mail = b"Received: from a\r\n\tby b\r\nSubject: Tolls\r\n\r\nHello, you, there\r\n";
    assert_eq!(sniff(mail, "x"), Some(MediaType::Eml));
    assert_eq!(
        sniff(b"From: all of us\n\nHello\n", "x"),
        Some(MediaType::Text)
    );
}
