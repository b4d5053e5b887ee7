#!/bin/sh
# Starts a simulated Partner Center, lets Microsoft's Java SDK work against it, stops it.
# Needs Java 17, Maven, and a Maven repository that offers com.microsoft.store:partnercenter.
# RELATIONSHIP_SERVICE names the binary; the default is the development build.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=${RELATIONSHIP_SERVICE:-$here/../../target/debug/relationship-service}
[ -x "$binary" ] || { echo "no binary at $binary: run cargo build first" >&2; exit 2; }

work=$(mktemp -d)
simulator=
finish() {
    [ -z "$simulator" ] || kill "$simulator" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT INT TERM

(cd "$here" && mvn -q -B compile \
    dependency:build-classpath -Dmdep.outputFile="$work/classpath")

"$binary" simulate --listen 127.0.0.1:0 --customers 3 --subscriptions 3 >"$work/introduction" &
simulator=$!
tries=0
until grep -q '^try:' "$work/introduction"; do
    kill -0 "$simulator" 2>/dev/null || { echo "the simulator did not start" >&2; exit 1; }
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || { echo "the simulator says nothing" >&2; exit 1; }
    sleep 0.1
done
said() { sed -n "s/^  $1  *//p" "$work/introduction" | head -n 1; }
root=$(said 'REST API' | sed 's,/v1$,,')

java -cp "$here/target/classes:$(cat "$work/classpath")" check.Check \
    "$root" "$root/$(said 'tenant id')/oauth2/token" \
    "$(said 'client id')" "$(said 'client secret')" "$(said 'refresh token')"
