#!/usr/bin/env bash
# Installs other queues into target/peers, for the comparison in `cargo bench -p quire-store --bench queue peers`.
# Nothing of quire depends on them. Needs npm and its registry.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=target/peers
mkdir -p "$peers"
npm install --prefix "$peers" --no-audit --no-fund graphile-worker@0.17.3 pg@8 >/dev/null
cp store/benches/queue/graphile.mjs "$peers/"
echo "installed in $peers: graphile-worker $(node -p "require('./$peers/node_modules/graphile-worker/package.json').version")"
