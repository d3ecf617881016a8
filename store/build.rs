//! `sqlx::migrate!` compiles the migrations in but cannot see a new file by itself.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
