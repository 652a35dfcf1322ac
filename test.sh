#!/usr/bin/env bash
# Runs every test that this machine can run, and says why the others are skipped. The last line is 'N passed, N failed, N skipped'.
# An integration test that fails runs once more by itself: many wait for brokers and processes, and a busy machine can be too slow for
# their limits. What failed at first is named before the last line, so that it can be looked into.
# The tests of publishing and the image run beside the unit tests; the output of these follows.
# On Debian and Ubuntu, as root, it first installs what tests need and the machine lacks.
set -uo pipefail
cd "$(dirname "$0")"

chaos= on_kafka=some
case "${1:-}" in
  -h | --help)
    echo "usage: ./test.sh [FILTER]         runs all tests, or those whose name fits FILTER, such as '*Demo*'"
    echo "       ./test.sh --all [FILTER]   also the image under podman, and the longest tests and further cases on Apache Kafka"
    echo "                                  then the integration tests again, on Apache Kafka instead of the broker in the process"
    echo "       ./test.sh --kafka [FILTER] the integration tests on Apache Kafka alone: of KAFKA_HOME, else in containers"
    echo "       ./test.sh --chaos [SEED]   two replicas of the service and three nodes of Apache Kafka, with 100 kills of replicas and 20 of"
    echo "                                  nodes, for each delivery (about 40 minutes). Other numbers: OUTLIER_CHAOS_KILLS,"
    echo "                                  OUTLIER_CHAOS_NODE_KILLS, and at most OUTLIER_CHAOS_MINUTES for each delivery. The accounting"
    echo "                                  is kept in artifacts/chaos"
    exit 0
    ;;
  --all) export OUTLIER_TESTS_ALL=1; on_kafka=yes; shift ;;
  --kafka) export OUTLIER_TESTS_ALL=1; on_kafka=only; shift ;;
  --chaos) chaos=yes ;;
esac

install_missing() {
  [ -r /etc/os-release ] || return 0
  local id turbo missing=()
  id=$(. /etc/os-release && echo "${ID:-} ${ID_LIKE:-}")
  case " $id " in
    *" ubuntu "*) turbo=libturbojpeg ;;
    *" debian "*) turbo=libturbojpeg0 ;;
    *) return 0 ;;
  esac
  command -v kcat > /dev/null || missing+=(kcat)
  # Builds the CUDA that is emulated.
  command -v g++ > /dev/null || missing+=(g++)
  command -v ffmpeg > /dev/null || missing+=(ffmpeg)
  command -v promtool > /dev/null || missing+=(prometheus)
  command -v prometheus-alertmanager > /dev/null || missing+=(prometheus-alertmanager)
  [ -d /usr/lib/postgresql ] || missing+=(postgresql)
  # Ubuntu's package is a shell around a snap, which a container cannot install.
  [ -x /usr/bin/chromium ] || [ "${id%% *}" = ubuntu ] || missing+=(chromium fonts-dejavu-core)
  # Apache Kafka, where there is one to test against.
  [ -d "${KAFKA_HOME:-../shared/kafka}/libs" ] && { command -v java > /dev/null || missing+=(default-jre-headless); }
  ldconfig -p | grep -q libturbojpeg.so.0 || missing+=("$turbo")
  # For the tests of what is published, of the image, and on Apache Kafka.
  command -v debootstrap > /dev/null || [ -x /usr/sbin/debootstrap ] || [ "${id%% *}" = ubuntu ] || missing+=(debootstrap)
  command -v podman > /dev/null || [ "${id%% *}" = ubuntu ] || missing+=(podman runc)
  # libtorch's OpenMP runtime.
  ldconfig -p | grep -q libgomp.so.1 || missing+=(libgomp1)
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "not root, so these stay missing and their tests are skipped: ${missing[*]}"
    return 0
  fi
  echo "installing with apt-get: ${missing[*]}"
  # No service is to be started here: Prometheus is wanted for promtool alone.
  apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null \
    || echo "apt-get failed; the tests that need them are skipped"
}

install_missing
dotnet build -c Release OutlierPipeline.sln || exit 1
if [ -n "$chaos" ]; then
  export OUTLIER_CHAOS_KILLS=${OUTLIER_CHAOS_KILLS:-100} OUTLIER_CHAOS_NODE_KILLS=${OUTLIER_CHAOS_NODE_KILLS:-20}
  export OUTLIER_CHAOS_MINUTES=${OUTLIER_CHAOS_MINUTES:-240}
  export OUTLIER_CHAOS_SEED=${2:-$RANDOM} OUTLIER_CHAOS_OUT=${OUTLIER_CHAOS_OUT:-$PWD/artifacts/chaos}
  mkdir -p "$OUTLIER_CHAOS_OUT"
  echo "seed $OUTLIER_CHAOS_SEED; what happens stands in $OUTLIER_CHAOS_OUT/*-$OUTLIER_CHAOS_SEED.log"
  dotnet exec tests/OutlierPipeline.IntegrationTests/bin/Release/net10.0/OutlierPipeline.IntegrationTests.dll -noColor -class '*.ChaosTests'
  code=$?
  [ ! -f "$OUTLIER_CHAOS_OUT/table.md" ] || cat "$OUTLIER_CHAOS_OUT/table.md"
  exit $code
fi
# Training's threads that wait leave the cores to the tests beside them.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
passed=0 failed=0 skipped=0 failed_once=
filter=()
[ -n "${1:-}" ] && filter=(-method "$1")
deploy=OutlierPipeline.IntegrationTests.Deploy
logs=$(mktemp -d)

# PROJECT ARGUMENTS...: runs tests of a project.
run() {
  dotnet exec "tests/$1/bin/Release/net10.0/$1.dll" -noColor "${@:2}" 2>&1
}

# PROJECT LOG: adds up what the log of a run says, and runs what failed of the integration tests once more.
count() {
  local line total errors bad skip name again=()
  # A project in which the filter finds nothing ends with a bare 'Total: 0'.
  line=$(grep -E 'Total: [0-9]+' "$2" | tail -1 | sed 's/Total: 0$/Total: 0, Errors: 0, Failed: 0, Skipped: 0/')
  # No summary means that the run itself died: that is a failure too.
  read -r total errors bad skip < <(sed -E 's/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+).*/\1 \2 \3 \4/' <<< "${line:-Total: 0, Errors: 1, Failed: 0, Skipped: 0}")
  failed=$((failed + bad + errors)) skipped=$((skipped + skip)) passed=$((passed + total - bad - skip))
  # What failed stands at the end, where it is found.
  grep -E '\[FAIL\]$' -A 12 "$2" >> "$logs/failed"
  [ "$bad" -gt 0 ] && [ "$bad" -le 5 ] && [ "$1" = OutlierPipeline.IntegrationTests ] || return 0
  # What chaos lost once is lost, whatever another seed does.
  ! grep -qE 'ChaosTests.* \[FAIL\]$' "$2" || return 0
  while read -r name; do again+=(-method "$name"); done < <(sed -nE 's/^ +([A-Za-z0-9_.]+)(\(.*)? \[FAIL\]$/\1/p' "$2" | sort -u)
  echo "once more, by themselves: ${again[*]//-method/}"
  if run "$1" "${again[@]}"; then
    failed=$((failed - bad)) passed=$((passed + bad))
    failed_once+=" ${again[*]//-method/}"
  fi
}

# Publishing and the image wait for disks and compilers, and nothing in them is timed: they run beside the unit tests. Those are in the
# background, where an interrupt is ignored, since no test of theirs sends one.
if [ "$on_kafka" != only ]; then
  dotnet exec tests/OutlierPipeline.Tests/bin/Release/net10.0/OutlierPipeline.Tests.dll -noColor "${filter[@]}" > "$logs/unit" 2>&1 &
  unit=$!
  trap 'kill $unit 2> /dev/null; rm -rf "$logs"' EXIT
  run OutlierPipeline.IntegrationTests -namespace "$deploy" "${filter[@]}" | tee "$logs/deploy"
  wait $unit
  trap 'rm -rf "$logs"' EXIT
  cat "$logs/unit"
  count OutlierPipeline.Tests "$logs/unit"
  count OutlierPipeline.IntegrationTests "$logs/deploy"
  run OutlierPipeline.IntegrationTests -namespace- "$deploy" "${filter[@]}" | tee "$logs/integration"
  count OutlierPipeline.IntegrationTests "$logs/integration"
fi
# The same tests on Apache Kafka: all that have a cluster where that is asked for, else those of a few classes.
broker=kafka
[ -d "${KAFKA_HOME:-../shared/kafka}/libs" ] || broker=container
if [ "$on_kafka" = only ] || { [ $broker = kafka ] && { [ "$on_kafka" = yes ] || [ ${#filter[@]} -eq 0 ]; }; }; then
  export OUTLIER_TESTS_BROKER=$broker
  tests=OutlierPipeline.IntegrationTests
  both=(-class "$tests.Pipeline.AccountingTests" -class "$tests.Pipeline.BadInputTests" -class "$tests.Pipeline.FaultTests")
  [ "$on_kafka" = some ] || both=(-namespace "$tests.Pipeline" -namespace "$tests.Service" -namespace "$tests.Cli")
  [ ${#filter[@]} -eq 0 ] || both=("${filter[@]}" -namespace- "$deploy")
  echo "on Apache Kafka instead of the broker in the process:"
  if [ $broker = container ] && command -v podman > /dev/null; then tests/containers.sh "${both[@]}" 2>&1
  else run OutlierPipeline.IntegrationTests "${both[@]}"; fi | tee "$logs/kafka"
  count OutlierPipeline.IntegrationTests "$logs/kafka"
fi
[ ! -s "$logs/failed" ] || { echo "what failed:"; cat "$logs/failed"; }
[ -z "$failed_once" ] || echo "failed at first, and passed by themselves:$failed_once"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
