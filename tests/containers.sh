#!/usr/bin/env bash
# Runs integration tests whose clusters are Apache Kafka in containers, under podman. Where the image is not on this machine, one is made of
# Debian 12 (debootstrap, as root), this machine's Java and KAFKA_HOME, under the same name: not every machine reaches a registry.
#
#   tests/containers.sh [--debian DIR] [FILTER…]    DIR is a Debian 12, if there is one already; filters are xunit's, such as -class '*FaultTests'
#
# The projects must be built (dotnet build -c Release OutlierPipeline.sln).
set -euo pipefail
[ "${1:-}" != --debian ] || set -- --debian "$(cd "$2" && pwd)" "${@:3}"
cd "$(dirname "$0")/.."
command -v podman > /dev/null || { echo "podman is not on this machine" >&2; exit 1; }
image=docker.io/apache/kafka:4.1.0
work=$(mktemp -d)
made=
cleanup() {
  [ -z "${service:-}" ] || kill "$service" 2> /dev/null || true
  [ -z "$made" ] || podman rmi -f $made > /dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

debian=
if [ "${1:-}" = --debian ]; then debian=$2; shift 2; fi
[ $# -gt 0 ] || set -- -class '*.AccountingTests' -class '*.BadInputTests' -class '*.FaultTests' -class '*.ContainerTests'

# As root, perhaps in a container, where what podman asks for by default is more than is allowed.
if [ ! -e /etc/containers/containers.conf ] && [ "$(id -u)" -eq 0 ]; then
  printf '[containers]\ndefault_ulimits=["nofile=16000:16000","nproc=4096:4096"]\n' > "$work/containers.conf"
  ! command -v runc > /dev/null || printf '[engine]\nruntime="runc"\n' >> "$work/containers.conf"
  export CONTAINERS_CONF=$work/containers.conf
fi

stand_in() {
  local kafka=${KAFKA_HOME:-../shared/kafka} java root=$work/root
  [ -d "$kafka/libs" ] || { echo "neither the image apache/kafka:4.1.0 nor an Apache Kafka (KAFKA_HOME, a folder with libs/) is here" >&2; exit 1; }
  command -v java > /dev/null || { echo "java is not on this machine, which the stand-in of apache/kafka:4.1.0 needs" >&2; exit 1; }
  java=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
  if [ -z "$debian" ]; then
    debian=$work/debian
    debootstrap --variant=minbase bookworm "$debian" > "$work/debootstrap.log" 2>&1 || { tail -5 "$work/debootstrap.log" >&2; exit 1; }
  fi
  made="$image outlier-tests-debian"
  mkdir -p "$root/opt/kafka" "$root/etc/kafka/docker" "$root$java"
  cp -a "$java/." "$root$java/"
  # Debian's Java has its settings there.
  cp -a /etc/java-*-openjdk "$root/etc/" 2> /dev/null || true
  cp -r "$kafka/libs" "$root/opt/kafka/"
  cat > "$root/opt/kafka/log4j2.properties" << 'END'
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
END
  # As the image's own: KAFKA_SOME_NAME is the property some.name.
  cat > "$root/etc/kafka/docker/run" << END
#!/bin/bash
env | sed -n 's/^KAFKA_\([A-Z0-9_]*\)=\(.*\)/\1 \2/p' | while read -r name value; do
  name=\${name,,}
  echo "\${name//_/.}=\$value"
done > /tmp/server.properties
echo log.dirs=/tmp/kafka-logs >> /tmp/server.properties
java=($java/bin/java -Xmx400m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=file:/opt/kafka/log4j2.properties -cp '/opt/kafka/libs/*')
"\${java[@]}" kafka.tools.StorageTool format -t "\$CLUSTER_ID" -c /tmp/server.properties
exec "\${java[@]}" kafka.Kafka /tmp/server.properties
END
  chmod +x "$root/etc/kafka/docker/run"
  tar -C "$debian" --exclude=./var/cache/apt --exclude=./proc --exclude=./sys -c . | podman import -q - outlier-tests-debian > /dev/null
  printf 'FROM outlier-tests-debian\nCOPY . /\n' > "$work/Dockerfile"
  podman build --isolation chroot --layers=false -q -f "$work/Dockerfile" -t "$image" "$root" > /dev/null
  rm -rf "$root"
}

podman image exists "$image" || podman pull -q "$image" > /dev/null 2>&1 || stand_in
podman system service --time=0 "unix://$work/podman.sock" > "$work/service.log" 2>&1 &
service=$!
for _ in $(seq 100); do [ -S "$work/podman.sock" ] && break; sleep 0.1; done
[ -S "$work/podman.sock" ] || { echo "podman does not answer:" >&2; cat "$work/service.log" >&2; exit 1; }
export DOCKER_HOST=unix://$work/podman.sock OUTLIER_TESTS_BROKER=container
# It removes what a run leaves behind, is a container of another image, and not needed where every test disposes of its own.
export TESTCONTAINERS_RYUK_DISABLED=true
dotnet exec tests/OutlierPipeline.IntegrationTests/bin/Release/net10.0/OutlierPipeline.IntegrationTests.dll -noColor "$@"
