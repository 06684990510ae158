#!/usr/bin/env bash
# Writes docs/examples.md: each example programme with its plan on the demo company. Run by `make examples`.
set -euo pipefail
cd "$(dirname "$0")/.."
CLOSEDLOOP_HOME=$(mktemp -d)/home
export CLOSEDLOOP_HOME
trap 'rm -rf "$(dirname "$CLOSEDLOOP_HOME")"' EXIT
.venv/bin/closedloop demo --contacts 3000 --seed 7 --today 2026-03-02 --until ingest >/dev/null

name_of() {
  case $1 in
    salesos) echo "SalesOS: a default programme" ;;
    cloudpeak) echo "CloudPeak: marks of a customer's first year and the renewal" ;;
    evergreen) echo "Evergreen: after a purchase" ;;
    bluewave) echo "BlueWave: after each engagement" ;;
    getfeedback) echo "GetFeedback: five groups of the lifecycle" ;;
  esac
}

{
  cat <<'TEXT'
# Example programmes, each with its plan

Five companies' programmes, written as files in `surveys/examples/`; each folder can be used as it is: `CLOSEDLOOP_SURVEYS=surveys/examples/cloudpeak`. Under each stands
what `closedloop survey plan --markdown` says of it for the demo company (3,000 contacts, seed 7) on 2 March 2026 at 15:00 UTC: whom it would ask now and in the next 30 days,
whom not and by which rule, what stands in its way, and what answers to expect. The company's past was asked by the three programmes of `surveys/`, which are not
running in these plans. `make examples` writes this page anew.
TEXT
  for folder in salesos cloudpeak evergreen bluewave getfeedback; do
    printf '\n## %s\n\n' "$(name_of $folder)"
    for file in surveys/examples/$folder/*.yml; do
      printf -- '- [%s](../%s): ' "$(basename "$file")" "$file"
      # The file's own first comment, up to its first sentence's end.
      grep '^# ' "$file" | grep -v yaml-language-server | sed 's/^# //' | tr '\n' ' ' | sed -E 's/^([^.]*\.).*/\1/'
      echo
    done
    echo
    CLOSEDLOOP_SURVEYS=surveys/examples/$folder .venv/bin/closedloop survey plan --as-of 2026-03-02T15:00Z --markdown | tail -n +3
  done
} > docs/examples.md.new
mv docs/examples.md.new docs/examples.md
