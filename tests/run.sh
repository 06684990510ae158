#!/usr/bin/env bash
# What `make test` and CI run: brings the heavy parts where it may, then style, import rules and every test.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

missing=()
command -v chromium >/dev/null 2>&1 || missing+=(chromium fonts-liberation)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for the tests: ${missing[*]}"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
      >/tmp/closedloop-apt.log 2>&1 || { echo "could not be installed, see /tmp/closedloop-apt.log"; tail -5 /tmp/closedloop-apt.log; }
  else
    echo "not here, and this user may not install them: ${missing[*]}; their tests will be skipped"
  fi
fi

$bin/ruff check .
$bin/ruff format --check .
$bin/lint-imports
exec $bin/python -m pytest -n 2 --dist loadfile "$@"
