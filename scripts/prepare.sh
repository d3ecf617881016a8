#!/usr/bin/env bash
# Brings .sqlx, the offline cache of the checked SQL, up to date: a scratch database, both schemas, one cargo check.
# Usage: scripts/prepare.sh [postgres://user@host:port]   (default: a scratch server, removed afterwards)
set -euo pipefail
cd "$(dirname "$0")/.."
# One at a time: two would take each other's compilation for their own and miss queries.
mkdir -p target
exec 9>target/.prepare.lock
flock 9
scratch="$(mktemp -d)"
fresh="$scratch/sqlx"
mkdir "$fresh"

as_server_user() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start_server() {
    local programs
    programs="$(dirname "$(command -v pg_ctl || ls -d /usr/lib/postgresql/*/bin/pg_ctl /usr/pgsql-*/bin/pg_ctl 2>/dev/null | sort -V | tail -1)")"
    [ "$(id -u)" = 0 ] && chown postgres "$scratch"
    chmod 711 "$scratch"
    as_server_user "$programs/initdb" -D "$scratch/data" -U postgres -A trust --no-sync >/dev/null
    as_server_user "$programs/pg_ctl" -D "$scratch/data" -l "$scratch/log" -w -o "-F -h '' -k $scratch" start >/dev/null
    stop="as_server_user $programs/pg_ctl -D $scratch/data -m immediate stop"
    server="postgres://postgres@localhost/" # the query below decides: a socket
    query="?host=$scratch"
}

server="${1:-}" query="" drop="true" stop="true"
cleanup() {
    $drop || true
    $stop >/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
if [ -z "$server" ]; then start_server; else server="${server%/}/"; fi

database="quire_prepare_$$"
url="$server$database$query"
psql -qX "${server}postgres$query" -c "create database $database"
drop_database() { psql -qX "${server}postgres$query" -c "drop database if exists $database with (force)"; }
drop=drop_database

sql() { psql -qtX -v ON_ERROR_STOP=1 "$url" "$@" >/dev/null; }
host="$(rustc -vV | sed -n "s/^host: //p")"
apalis="$(cargo metadata --format-version 1 --filter-platform "$host" | grep -o '"manifest_path":"[^"]*/apalis-postgres-[^"]*/Cargo.toml"' | head -1 | cut -d'"' -f4)"
sql -c "create extension if not exists pgcrypto; create extension if not exists hstore; create schema apalis; create schema quire"
for migration in "$(dirname "$apalis")"/migrations/*.sql migrations/*.sql; do
    PGOPTIONS="-c client_min_messages=warning" sql -1 -f "$migration" || { echo "failed: $migration" >&2; exit 1; }
done

# The dependencies first, offline: the statements of apalis are those of its own schema, which ours extends. That our crate may not
# compile like this is why we are here.
SQLX_OFFLINE=true cargo check -q -p quire-store --all-features 2>/dev/null || true
# The macros write into the directory as they are expanded; a fresh one holds nothing that is no longer asked.
touch store/src/lib.rs
DATABASE_URL="$url" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$fresh" cargo check -p quire-store --all-features
mkdir -p .sqlx
rm -f .sqlx/query-*.json
cp "$fresh"/query-*.json .sqlx/
echo "$(find .sqlx -name 'query-*.json' | wc -l) queries in .sqlx"
