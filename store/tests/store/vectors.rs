//! The cache of vectors: what comes out is what went in, and everything else is only absent.

use quire_store::{DeleteOutcome, Lease, Owner, VectorSet};
use serde_json::json;
use uuid::Uuid;

use crate::support::Quire;

fn set(lease: &Lease) -> VectorSet<'_> {
    VectorSet {
        owner: lease.job.owner,
        sha256: &lease.job.sha256,
        version: version(),
        model: "minilm",
        splitting: 1,
    }
}

/// Of the extractor, in documents of [`Quire::answering`].
fn version() -> i32 {
    1
}

fn vector(first: f32) -> Vec<f32> {
    vec![first, (1.0 - first * first).sqrt(), 0.0]
}

async fn known(quire: &Quire, set: &VectorSet<'_>, texts: &[&str]) -> Vec<Option<Vec<f32>>> {
    quire.store.known_vectors(set, 3, texts).await.unwrap()
}

async fn kept(quire: &Quire, set: &VectorSet<'_>, texts: &[&str], firsts: &[f32]) {
    let vectors: Vec<_> = firsts.iter().map(|first| vector(*first)).collect();
    quire
        .store
        .keep_vectors(set, texts, &vectors)
        .await
        .unwrap();
}

#[tokio::test]
async fn vectors_are_found_by_text_of_their_own_document_and_model_only() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let set = set(&lease);
    assert_eq!(known(&quire, &set, &["a", "b"]).await, [None, None]);
    // The same sentence may stand in a document twice.
    kept(&quire, &set, &["a", "ü", "a"], &[0.1, 0.2, 0.1]).await;
    kept(&quire, &set, &["c"], &[0.3]).await;
    let found = known(&quire, &set, &["c", "b", "a", "ü", "a"]).await;
    let (a, u, c) = (Some(vector(0.1)), Some(vector(0.2)), Some(vector(0.3)));
    assert_eq!(found, [c, None, a.clone(), u, a]);
    let others = [
        VectorSet {
            model: "other",
            ..set
        },
        VectorSet {
            splitting: 2,
            ..set
        },
        VectorSet {
            version: version() + 1,
            ..set
        },
        VectorSet {
            sha256: &[9; 32],
            ..set
        },
        VectorSet {
            owner: Owner(Uuid::from_u128(7)),
            ..set
        },
    ];
    for other in &others {
        assert_eq!(known(&quire, other, &["a"]).await, [None], "{other:?}");
    }
    let texts = quire
        .count("select texts::bigint from quire.vector_sets")
        .await;
    assert_eq!(texts, 3);
}

#[tokio::test]
async fn a_damaged_vector_is_unknown_until_it_is_computed_again() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let set = set(&lease);
    for damage in [
        "update quire.vectors set vector = ''",
        "update quire.vectors set vector = substr(vector, 2)",
        "update quire.vectors set vector = vector || '\\x00000000'::bytea",
        "update quire.vectors set vector = set_byte(vector, 3, 127)",
    ] {
        kept(&quire, &set, &["a"], &[0.5]).await;
        assert_eq!(known(&quire, &set, &["a"]).await, [Some(vector(0.5))]);
        sqlx::query(damage).execute(quire.sql()).await.unwrap();
        assert_eq!(known(&quire, &set, &["a"]).await, [None], "{damage}");
    }
    kept(&quire, &set, &["a"], &[0.5]).await;
    assert_eq!(
        quire.store.known_vectors(&set, 4, &["a"]).await.unwrap(),
        [None]
    );
}

#[tokio::test]
async fn a_set_takes_so_many_and_no_more() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let set = set(&lease);
    let texts: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = vec![vector(0.5); texts.len()];
    for part in 0..2 {
        let half = part * 2_500..(part + 1) * 2_500;
        let write = quire
            .store
            .keep_vectors(&set, &texts[half.clone()], &vectors[half]);
        write.await.unwrap();
    }
    assert_eq!(
        quire.count("select count(*) from quire.vectors").await,
        4_096
    );
    kept(&quire, &set, &["one more"], &[0.1]).await;
    assert_eq!(
        quire.count("select count(*) from quire.vectors").await,
        4_096
    );
}

#[tokio::test]
async fn vectors_go_with_their_document() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    kept(&quire, &set(&lease), &["a"], &[0.5]).await;
    quire.store.housekeeping(7).await.unwrap();
    assert_eq!(quire.count("select count(*) from quire.vectors").await, 1);
    quire.store.complete(&lease, "42", json!({})).await.unwrap();
    let deleted = quire
        .store
        .delete_job(lease.job.owner, lease.job.id, true)
        .await
        .unwrap();
    assert!(matches!(deleted, DeleteOutcome::Deleted { .. }));
    assert_eq!(quire.count("select count(*) from quire.vectors").await, 0);
    assert_eq!(
        quire.count("select count(*) from quire.vector_sets").await,
        0
    );
    // An answer that is still being made does not bring them back.
    kept(&quire, &set(&lease), &["a"], &[0.5]).await;
    assert_eq!(
        quire.count("select count(*) from quire.vector_sets").await,
        0
    );
}
