//! scratch
use quire_models::*;
fn main() {
    let dir = ModelDir::new(std::env::args().nth(1).unwrap());
    let spec = Catalog::builtin().default_of(ModelKind::Embed).unwrap();
    let t = std::time::Instant::now();
    let mut n = 0;
    let r = dir.pull(spec, &PullOptions::from_env(), &mut |p| { n += 1; if n % 20 == 1 { eprintln!("{:?} {p:?}", t.elapsed()) } });
    match r { Ok(()) => eprintln!("ok {:?}", t.elapsed()), Err(e) => eprintln!("{} {e} {:?}", e.code(), t.elapsed()) }
    let t = std::time::Instant::now();
    let e = open_default_embedder(&dir).map(|e| e.dimensions());
    eprintln!("{e:?} in {:?}", t.elapsed());
}
