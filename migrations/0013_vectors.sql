-- Vectors of the texts of documents, so that a second question about a document does not compute them again.
--
-- A cache: every row may go at any time. It goes with its document, whose owner it has, and when it has not been used for long.

create table quire.vector_sets (
    id          bigint generated always as identity primary key,
    sha256      bytea not null,
    version     integer not null,                       -- of the extractor
    owner       uuid not null,
    model       text not null check (length(model) between 1 and 255),
    splitting   integer not null,                       -- version of how a document falls into texts
    texts       integer not null default 0 check (texts >= 0),
    used_at     timestamptz not null default now(),
    unique (sha256, version, owner, model, splitting),
    foreign key (sha256, version, owner) references quire.documents on delete cascade
);

create index vector_sets_by_use on quire.vector_sets (used_at);

create table quire.vectors (
    set_id      bigint not null references quire.vector_sets on delete cascade,
    text        bytea not null check (octet_length(text) = 16), -- first half of its SHA-256
    vector      bytea not null,                                 -- 32-bit floats, little-endian
    primary key (set_id, text)
);
