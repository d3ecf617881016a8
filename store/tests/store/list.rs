//! Lists.

use std::time::Duration;

use quire_store::{Job, JobFilter, JobId, JobState, NewUpload, Owner, clock};

use crate::support::{Quire, created, upload};

async fn jobs(quire: &Quire, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(
            created(
                quire
                    .store
                    .create_upload(upload(&format!("question {n}")))
                    .await
                    .unwrap(),
            )
            .id,
        );
    }
    ids
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn pages_hold_every_job_once_while_new_ones_arrive() {
    let quire = Quire::new().await;
    let mut wanted = jobs(&quire, 25).await;
    wanted.reverse();
    let (mut cursor, mut seen, mut totals) = (None, Vec::new(), Vec::new());
    loop {
        let page = quire
            .store
            .list_jobs(Owner::LOCAL, &JobFilter::default(), cursor, 4)
            .await
            .unwrap();
        seen.extend(ids(&page.jobs));
        totals.push(page.total_estimate);
        jobs(&quire, 3).await;
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen, wanted);
    assert_eq!((totals[0], totals[1]), (25, 28));
}

#[tokio::test]
async fn a_full_last_page_has_no_successor() {
    let quire = Quire::new().await;
    jobs(&quire, 4).await;
    let page = quire
        .store
        .list_jobs(Owner::LOCAL, &JobFilter::default(), None, 4)
        .await
        .unwrap();
    assert_eq!((page.jobs.len(), page.next), (4, None));
    let nobody = quire
        .store
        .list_jobs(Owner(clock::new_id()), &JobFilter::default(), None, 4)
        .await
        .unwrap();
    assert_eq!((nobody.jobs.len(), nobody.total_estimate), (0, 0));
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let quire = Quire::new().await;
    let named = NewUpload {
        file_name: "Bilanz_2024 100%.csv".to_owned(),
        ..upload("sum")
    };
    let named = created(quire.store.create_upload(named).await.unwrap());
    let asked = created(
        quire
            .store
            .create_upload(upload("WHO signed it?"))
            .await
            .unwrap(),
    );
    quire
        .store
        .cancel_job(Owner::LOCAL, asked.id)
        .await
        .unwrap();
    let list = async |filter: JobFilter| {
        let page = quire
            .store
            .list_jobs(Owner::LOCAL, &filter, None, 10)
            .await
            .unwrap();
        assert_eq!(page.total_estimate, i64::try_from(page.jobs.len()).unwrap());
        ids(&page.jobs)
    };
    let q = |text: &str| JobFilter {
        q: Some(text.to_owned()),
        ..JobFilter::default()
    };
    assert_eq!(list(q("bilanz_")).await, [named.id]);
    assert_eq!(list(q("0%.")).await, [named.id]);
    assert_eq!(list(q("who")).await, [asked.id]);
    assert!(list(q("b%z")).await.is_empty());
    assert_eq!(list(q("")).await, [asked.id, named.id]);
    let states = |states: &[JobState]| JobFilter {
        states: states.to_vec(),
        ..JobFilter::default()
    };
    assert_eq!(
        list(states(&[JobState::Cancelled, JobState::Failed])).await,
        [asked.id]
    );
    assert_eq!(list(states(&[JobState::Queued])).await, [named.id]);
    let since = |created_after| JobFilter {
        created_after: Some(created_after),
        ..JobFilter::default()
    };
    assert_eq!(list(since(named.created_at)).await, [asked.id]);
    assert!(
        list(since(clock::now() + Duration::from_mins(1)))
            .await
            .is_empty()
    );
}
