-- Batches: many files sent as one thing, in one request or over many, with results in the order of the input.
--
-- A batch is a list and nothing more. Its jobs are ordinary jobs, so nothing in the queue knows batches, and how far a batch
-- is can only be told by looking at its jobs: there is no counter that could be wrong.

create table quire.batches (
    id              uuid primary key,
    owner           uuid not null,
    name            text,
    created_at      timestamptz not null default now(),
    cancelled_at    timestamptz,                        -- nothing can be added any more
    idempotency_key text,
    request_hash    bytea check (octet_length(request_hash) = 32),
    constraint key_has_hash check ((idempotency_key is null) = (request_hash is null))
);

create unique index batches_idempotency on quire.batches (owner, idempotency_key) where idempotency_key is not null;
create index batches_newest on quire.batches (owner, id desc); -- ids are in the order of creation

-- One row for each file of the input: a job, or the reason why there is none. A row with neither had a job that was deleted.
create table quire.batch_items (
    batch_id        uuid not null references quire.batches (id) on delete cascade,
    key             text not null,                      -- sending a key again changes nothing, unless it was refused
    position        bigint not null check (position >= 0),
    reference       text,                               -- the client's own name for it
    file_name       text not null,
    job_id          uuid references quire.jobs (id) on delete set null,
    error_code      text,
    error_message   text,
    primary key (batch_id, key),
    constraint refused_has_no_job check (job_id is null or error_code is null),
    constraint error_is_whole check ((error_code is null) = (error_message is null))
);

create index batch_items_in_order on quire.batch_items (batch_id, position, key);
create index batch_items_of_job on quire.batch_items (job_id) where job_id is not null;
