#!/usr/bin/env bash
# Runs every test that this machine can run; the last line is 'N passed, N failed, N skipped'.
set -uo pipefail
cd "$(dirname "$0")"
dotnet build -c Release OutlierPipeline.sln || exit 1
passed=0 failed=0 skipped=0
for project in OutlierPipeline.Tests OutlierPipeline.IntegrationTests; do
  log=$(mktemp)
  dotnet exec "tests/$project/bin/Release/net10.0/$project.dll" -noColor 2>&1 | tee "$log"
  line=$(grep -E 'Total: [0-9]+, Errors' "$log" | tail -1)
  read -r total errors bad skip < <(sed -E 's/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+).*/\1 \2 \3 \4/' <<<"${line:-Total: 0, Errors: 1, Failed: 0, Skipped: 0}")
  failed=$((failed + bad + errors)) skipped=$((skipped + skip)) passed=$((passed + total - bad - skip))
  rm -f "$log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
