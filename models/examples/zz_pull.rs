//! scratch
use quire_models::*;
use quire_models::bert::BertEmbedder;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let e = BertEmbedder::open("x", std::path::Path::new(&a[1]), 256).unwrap();
    let t = std::fs::read_to_string(&a[2]).unwrap();
    let mut t: Vec<&str> = t.lines().collect();
    t.sort_by_key(|s| s.len());
    let n: usize = a[3].parse().unwrap();
    let c: usize = a[4].parse().unwrap();
    for _ in 0..n { for x in t.chunks(c) { e.embed(x, &CancelFlag::default()).unwrap(); } }
}
