#!/usr/bin/env bash
# The rules of ARCHITECTURE.md that a compiler does not check. Prints every breach, fails if there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
broken=0

# only PATTERN WHERE WHAT: PATTERN may stand only in files below WHERE.
only() {
  local found
  found=$(git ls-files -co --exclude-standard '*.rs' | grep -vE "$2" | xargs grep -snE "$1" | grep -vE '^[^:]+:[0-9]+:\s*//' || true)
  [ -z "$found" ] && return
  printf '%s\n%s\n\n' "broken rule: $3" "$found"
  broken=1
}

only '\bsqlx::|query!\(|query_as!\('            '^store/'                               'SQL stands only in store/'
only '\baxum(_extra)?::'                        '^(src|tests/it|benches)/'              'HTTP stands only in src/'
only '\bcandle_(core|nn|transformers)::'        '^models/'                              'candle stands only in models/'
only '\b(pdf_extract|lopdf|hayro[a-z_]*|image|csv)::' '^workers/extract/'               'parsers stand only in workers/extract/'
# Children that read hostile bytes are started in few places, and nowhere but in them do the formats run.
only '\bParserPool::start\b'                    '^(workers/|src/http/pages/studio.rs|src/cli/(extract|doctor/machine).rs)' 'parser pools are started by workers, the studio, quire extract and doctor only'
only 'quire_extract::formats|\bformats::FORMATS' '^(workers/extract|fuzz)/'                   'formats run in the parser child only'
only '\bapalis(_core|_postgres)?::'             '^(workers/src|store)/'                 'apalis stands only in workers/ and store/'
only 'Utc::now\(|SystemTime::now\('             '^(store/src/clock.rs|tests/|benches/|store/tests|.*/testing)' 'time comes from store/src/clock.rs'
only '\btokio::'                                '^(src|store|workers/src|tests|benches)/' 'models/ and workers/extract/ have no async runtime'
only '#\[allow\('                               '^$'                                    'lints are expected with a reason, never allowed'
only '#\[ignore'                                   '/pdf/tests/corpus.rs|store/tests/simulate/lives.rs|constrain/tests.rs' 'no test is ignored; the exceptions print figures'

# What apalis 1.0.0 cannot do safely, and a test in store/tests/apalis shows: the findings are numbered in its main.rs.
only 'RetryAfterError|DeferredError|AbortError' '^store/tests/apalis/'                  'a task that ends is done or failed: apalis knows no pause and no second try (findings 5, 7)'
only '\.(catch_panic|parallelize|with_pubsub)\('  '^store/tests/apalis/'                 'no layer outside of the life of an apalis task, no worker that listens only (findings 6, 11)'
only 'persist_results|lock_tasks\('              '^store/tests/apalis/'                  'apalis acknowledges tasks only with their results (finding 16)'
only '\.batch_size\(([^1]|1[^)])'               '^store/(tests/apalis|benches)/'       'one ticket is fetched at a time: apalis has no heartbeat while fetched ones wait (findings 1, 18)'
if grep -nE '^\s*\.(timeout|retry|rate_limit)\(' workers/src/queues.rs; then
  printf 'broken rule: an apalis worker has no timeout or retry layer (findings 5, 6)\n'
  broken=1
fi

# The child that parses untrusted bytes stays small: no model, database or web code in it.
linked=$(cargo tree --offline -q -p quire-extract -e normal --prefix none 2>/dev/null | awk '{print $1}' | sort -u | grep -E '^(candle-core|sqlx|axum|tokio)$' || true)
if [ -n "$linked" ]; then
  printf 'broken rule: quire-parse links %s\n' "$linked"
  broken=1
fi
exit "$broken"
