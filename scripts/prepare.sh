#!/usr/bin/env bash
# Brings .sqlx, the offline cache of the checked SQL, up to date: a throw-away database, both schemas, one cargo check.
# Usage: scripts/prepare.sh [postgres://user@host:port]   (a server where databases may be created; default: the local one)
set -euo pipefail
cd "$(dirname "$0")/.."

server="${1:-postgres://postgres@127.0.0.1:5432}"
database="quire_prepare_$$"
url="$server/$database"
apalis="$(cargo metadata --format-version 1 --offline | grep -o '"manifest_path":"[^"]*/apalis-postgres-[^"]*/Cargo.toml"' | head -1 | cut -d'"' -f4)"

sql() { psql -qtX -v ON_ERROR_STOP=1 "$url" "$@" >/dev/null; }

psql -qX "$server/postgres" -c "create database $database"
trap 'psql -qX "$server/postgres" -c "drop database if exists $database with (force)"' EXIT
sql -c "create extension if not exists pgcrypto; create extension if not exists hstore; create schema apalis; create schema quire"
for migration in "$(dirname "$apalis")"/migrations/*.sql migrations/*.sql; do
    sql -1 -f "$migration" 2>/dev/null || { echo "failed: $migration" >&2; exit 1; }
done

# The macros write into the directory as they are expanded; a fresh one holds nothing that is no longer asked.
fresh="$(mktemp -d)"
touch store/src/lib.rs
DATABASE_URL="$url" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$fresh" cargo check -p quire-store --all-features
mkdir -p .sqlx
find .sqlx -name 'query-*.json' -delete
cp "$fresh"/query-*.json .sqlx/
rm -rf "$fresh"
echo "$(find .sqlx -name 'query-*.json' | wc -l) queries in .sqlx"
