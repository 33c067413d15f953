#!/usr/bin/env bash
# Install the programs that the tests start and cannot get from a Python package; with
# the argument "bench", also those that measurements need.
#
# Does nothing when all are present. A missing program is an error, never a skipped test.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Debian's sbin is not on every user's PATH, but servers live there.
PATH=$PATH:/usr/sbin

# binary     package
programs() {
    cat <<'TABLE'
chromium     chromium
mariadbd     mariadb-server
memcached    memcached
openssl      openssl
pgbouncer    pgbouncer
pg_ctlcluster postgresql
rabbitmq-server rabbitmq-server
redis-server redis-server
valkey-server valkey-server
TABLE
    [ "$1" != bench ] || cat <<'TABLE'
nginx        nginx-light
wrk          wrk
TABLE
}

main() {
    local binary package missing=()
    while read -r binary package; do
        command -v "$binary" >/dev/null || missing+=("$package")
    done < <(programs "$1")
    [ ${#missing[@]} -gt 0 ] || return 0
    case " ${missing[*]} " in
        *" valkey-server "*) provide_backports valkey-server ;;
    esac
    apt_install "${missing[@]}"
}

main "${1:-test}"
