#!/usr/bin/env bash
# Fetch the cache tests of the Django that is installed:  tools/django_suite.sh
#
# They ship in its source distribution only. They are unpacked into .django-suite,
# a folder for each version, and run by tests/test_django_suite.py; nothing of them
# is part of Holdover. Does nothing when they are there.

set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

readonly ASK='import django; print(django.__version__)'

main() {
    local version folder
    version=$(.venv/bin/python -c "$ASK")
    folder=.django-suite/$version
    [ ! -d "$folder" ] || return 0

    say "fetching the cache tests of Django $version"
    fetching=$(mktemp -d)
    trap 'rm -rf "$fetching"' EXIT
    .venv/bin/python -m pip download --quiet --disable-pip-version-check \
        --no-deps --no-binary django --dest "$fetching" "django==$version" >&2
    mkdir "$fetching/unpacked"
    tar -xzf "$fetching"/*jango*.tar.gz -C "$fetching/unpacked" --strip-components=2 \
        --wildcards '*/tests/cache'
    mkdir -p .django-suite
    mv "$fetching/unpacked" "$folder"
}

main
