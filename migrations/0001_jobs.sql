-- Files, jobs, documents, and the worker processes that may own a job.
--
-- The table quire.jobs is the truth. Its CHECK constraints state the same life as store/src/transition.rs: whoever breaks a rule
-- gets an error, not a strange row. Every row that belongs to somebody says to whom.

create table quire.workers (
    name        text primary key,
    process     bigint not null,                        -- the process id that NOTIFY payloads carry
    started_at  timestamptz not null default now(),
    seen_at     timestamptz not null default now()      -- backstop for frozen workers; death is seen by the session lock
);

-- One row per upload. Two uploads may share their bytes: those are named by their hash in the file store.
create table quire.files (
    id          uuid primary key,
    owner       uuid not null,
    sha256      bytea not null check (octet_length(sha256) = 32),
    bytes       bigint not null check (bytes >= 0),
    name        text not null,
    media       text not null,
    created_at  timestamptz not null default now()
);

create index files_by_content on quire.files (sha256);

create table quire.jobs (
    id              uuid primary key,
    owner           uuid not null,
    file_id         uuid not null references quire.files (id),
    prompt          text not null,
    priority        integer not null default 0,
    state           text not null,
    stage           text not null default 'extract' check (stage in ('extract', 'answer')),
    progress        smallint not null default 0 check (progress between 0 and 100),

    -- Ownership. epoch grows at every change of owner and orders the events; attempt_id is the fence of the running attempt;
    -- ticket names the one queue entry that may be claimed.
    epoch           integer not null default 0 check (epoch >= 0),
    ticket          uuid,
    attempt_id      uuid,
    worker          text references quire.workers (name),
    claimed_at      timestamptz,

    -- Budgets. run counts retries by hand; attempt the starts of this stage; failures the failed tries; crashes the dead workers.
    run             integer not null default 0,
    attempt         integer not null default 0 check (attempt >= 0),
    failures        integer not null default 0,
    crashes         integer not null default 0,
    interrupted     boolean not null default false,     -- the previous attempt of this stage was broken off

    scheduled_at    timestamptz,                        -- what the client asked for
    due_at          timestamptz,                        -- when a scheduled job is queued
    queued_at       timestamptz,                        -- its place in the queue, in whole seconds as apalis keeps them
    created_at      timestamptz not null,
    started_at      timestamptz,
    finished_at     timestamptz,

    answer          text,
    result          jsonb,
    error_code      text,
    error_message   text,

    idempotency_key text,
    request_hash    bytea check (octet_length(request_hash) = 32),

    -- The partition of this job's events.
    job_day         date not null generated always as ((created_at at time zone 'UTC')::date) stored,

    constraint known_state check (state in
        ('queued', 'scheduled', 'running', 'streaming', 'completed', 'failed', 'cancelled', 'dead')),
    constraint owned_has_fence check ((state in ('running', 'streaming')) = (attempt_id is not null)),
    constraint fence_has_worker check ((attempt_id is null) = (worker is null) and (worker is null) = (claimed_at is null)),
    constraint queued_has_ticket check ((state = 'queued') = (ticket is not null)),
    constraint queued_has_place check (state <> 'queued' or queued_at is not null),
    constraint scheduled_has_time check ((state = 'scheduled') = (due_at is not null)),
    constraint ended_has_time check (
        (state in ('completed', 'failed', 'cancelled', 'dead')) = (finished_at is not null)),
    constraint completed_has_answer check ((state = 'completed') = (answer is not null)),
    constraint completed_is_whole check (state <> 'completed' or (progress = 100 and error_code is null)),
    constraint failed_has_reason check (state not in ('failed', 'dead') or error_code is not null),
    constraint key_has_hash check ((idempotency_key is null) = (request_hash is null))
)
-- Room for in-page updates: progress changes many times in a job's life and touches no index.
with (fillfactor = 80);

create unique index jobs_idempotency on quire.jobs (owner, idempotency_key) where idempotency_key is not null;
create index jobs_newest on quire.jobs (owner, created_at desc, id desc);
create index jobs_of_file on quire.jobs (file_id);
create index jobs_waiting on quire.jobs (stage, priority desc, queued_at, ticket) where state = 'queued';
create index jobs_due on quire.jobs (due_at) where state = 'scheduled';
create index jobs_owned on quire.jobs (worker) where worker is not null;
create index jobs_ended on quire.jobs (owner, finished_at) where finished_at is not null;

-- What extraction found in a file, kept so that the same bytes are not read twice.
create table quire.documents (
    owner       uuid not null,
    sha256      bytea not null check (octet_length(sha256) = 32),
    version     integer not null,                       -- of the extractor
    content     jsonb not null,
    created_at  timestamptz not null default now(),
    primary key (sha256, version, owner)
);

-- The session lock that a worker process holds for as long as it lives.
create function quire.worker_lock(name text) returns bigint language sql immutable parallel safe
    return hashtextextended('quire.worker/' || name, 0);
