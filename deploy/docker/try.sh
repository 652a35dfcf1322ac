#!/usr/bin/env bash
# Builds the image and tries it: not root, a root file system that is read-only, the health check, the command line, the demo. Needs podman, or docker.
#
#   deploy/docker/try.sh                    with the base images of the registries
#   deploy/docker/try.sh --stand-ins [DIR]  where there is no registry: with base images made of Debian 12 (debootstrap, as root) and the .NET on this machine,
#                                           under the same names; DIR is such a Debian 12, if there is one already
set -euo pipefail
cd "$(dirname "$0")/../.."
engine=$(command -v podman || command -v docker) || { echo "neither podman nor docker is on this machine" >&2; exit 1; }
name=outlier-try-$$
work=$(mktemp -d)
build=(build)
cleanup() {
  "$engine" rm -f "$name-broker" "$name-service" > /dev/null 2>&1 || true
  "$engine" rmi -f "$name" ${made:-} > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
step() { echo "== $*"; }
fail() { echo "$*" >&2; exit 1; }

if [ "${engine##*/}" = podman ]; then
  # Health checks are no part of the other format.
  build+=(--format docker)
  # Inside a container, what podman asks for by default is more than is allowed.
  if [ ! -e /etc/containers/containers.conf ] && [ "$(id -u)" -eq 0 ]; then
    printf '[containers]\ndefault_ulimits=["nofile=16000:16000","nproc=4096:4096"]\n' > "$work/containers.conf"
    ! command -v runc > /dev/null || printf '[engine]\nruntime="runc"\n' >> "$work/containers.conf"
    export CONTAINERS_CONF=$work/containers.conf
    build+=(--isolation chroot)
  fi
  # Leaves nothing behind.
  build+=(--layers=false)
fi

stand_ins() { # [DIR]
  local root=${1:-} dotnet
  dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
  if [ -z "$root" ]; then
    root=$work/debian
    step "Debian 12"
    debootstrap --variant=minbase --include=ca-certificates,libssl3 bookworm "$root" > "$work/debootstrap.log" 2>&1 || { tail -5 "$work/debootstrap.log" >&2; exit 1; }
  fi
  step "stand-ins of the base images"
  made=outlier-try-debian
  tar -C "$root" --exclude=./var/cache/apt --exclude=./proc --exclude=./sys -c . | "$engine" import -q - outlier-try-debian > /dev/null
  # The same files where Microsoft's images have them, and the user that they name.
  local part parts
  for part in aspnet sdk; do
    ! "$engine" image inspect "mcr.microsoft.com/dotnet/$part:10.0" > /dev/null 2>&1 || { echo "mcr.microsoft.com/dotnet/$part:10.0 is there already, and is taken"; continue; }
    made+=" mcr.microsoft.com/dotnet/$part:10.0"
    parts=(dotnet host shared LICENSE.txt)
    [ $part = aspnet ] || parts+=(sdk sdk-manifests packs templates metadata)
    mkdir -p "$work/$part"
    for each in "${parts[@]}"; do [ ! -e "$dotnet/$each" ] || cp -al "$dotnet/$each" "$work/$part/" 2> /dev/null || cp -a "$dotnet/$each" "$work/$part/"; done
    printf 'FROM outlier-try-debian\nCOPY . /usr/share/dotnet\nRUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet && useradd -u 1654 -m app\nENV APP_UID=1654 DOTNET_RUNNING_IN_CONTAINER=true DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1\n' > "$work/$part.Dockerfile"
    "$engine" "${build[@]}" -q -f "$work/$part.Dockerfile" -t "mcr.microsoft.com/dotnet/$part:10.0" "$work/$part" > /dev/null
    rm -rf "${work:?}/$part"
  done
  # What this machine has restored need not be fetched again.
  mkdir -p ~/.nuget/packages
  build+=(-v "$HOME/.nuget/packages:/root/.nuget/packages:ro" --pull=never)
}

if [ "${1:-}" = --stand-ins ]; then stand_ins "${2:-}"; fi

step "building the image"
"$engine" "${build[@]}" -f deploy/docker/Dockerfile -t "$name" . > "$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; exit 1; }

run() { "$engine" run --rm --no-healthcheck --network none --read-only --tmpfs /tmp "$@"; }
step "what is in it"
[ "$(run --entrypoint id "$name" -u)" -ne 0 ] || fail "the image runs as root"
size=$(run --entrypoint du "$name" -sm /app | cut -f1)
echo "/app takes $size MB"
[ "$size" -lt 250 ] || fail "/app takes 250 MB or more"
run --entrypoint sh "$name" -c 'ldconfig -p | grep -q libturbojpeg.so.0 && ffmpeg -v error -version > /dev/null' || fail "libturbojpeg or ffmpeg is missing"
run --entrypoint outlier "$name" models /models > /dev/null || fail "the command line does not run"

step "the demo"
run "$name" demo --duration 00:00:20 > "$work/demo.log" 2>&1 || { tail -5 "$work/demo.log" >&2; fail "the demo does not run"; }
grep -q ' opened ' "$work/demo.log" || { tail -20 "$work/demo.log" >&2; fail "the demo opened no incident"; }

step "the service, and its health check"
"$engine" run -d --name "$name-broker" --no-healthcheck --network none --read-only --tmpfs /tmp --entrypoint outlier "$name" broker --partitions 4 > /dev/null
for _ in $(seq 1 300); do
  servers=$("$engine" logs "$name-broker" 2> /dev/null | head -1)
  [ -z "$servers" ] || break
  sleep 0.1
done
[ -n "$servers" ] || fail "the broker does not start"
"$engine" run -d --name "$name-service" --network "container:$name-broker" --read-only --tmpfs /tmp -e "Kafka__BootstrapServers=$servers" -e Kafka__Client__fetch.wait.max.ms=5 \
  -e Api__AllowAnonymousFromAnywhere=true "$name" > /dev/null
is_healthy() {
  if [ "${engine##*/}" = podman ]; then "$engine" healthcheck run "$name-service" > /dev/null 2>&1; else [ "$("$engine" inspect -f '{{.State.Health.Status}}' "$name-service")" = healthy ]; fi
}
for _ in $(seq 1 300); do
  ! is_healthy || { healthy=yes; break; }
  sleep 0.2
done
[ "${healthy:-}" = yes ] || { "$engine" logs "$name-service" 2>&1 | tail -5 >&2; fail "the service does not become healthy"; }
"$engine" stop -t 20 "$name-service" > /dev/null
[ "$("$engine" inspect -f '{{.State.ExitCode}}' "$name-service")" -eq 0 ] || fail "the service does not end as it should when it is stopped"
echo "all is well"
