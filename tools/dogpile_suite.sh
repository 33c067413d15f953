#!/usr/bin/env bash
# Fetch the tests of the dogpile.cache that is installed:  tools/dogpile_suite.sh
#
# They ship in its source distribution only. They are unpacked into .dogpile-suite,
# a folder for each version, and run by tests/test_dogpile_suite.py; nothing of them
# is part of Holdover. Does nothing when they are there.

set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

readonly ASK='from importlib.metadata import version; print(version("dogpile.cache"))'

main() {
    local version folder
    version=$(.venv/bin/python -c "$ASK")
    folder=.dogpile-suite/$version
    [ ! -d "$folder" ] || return 0

    say "fetching the tests of dogpile.cache $version"
    fetching=$(mktemp -d)
    trap 'rm -rf "$fetching"' EXIT
    .venv/bin/python -m pip download --quiet --disable-pip-version-check \
        --no-deps --no-binary dogpile.cache --dest "$fetching" \
        "dogpile.cache==$version" >&2
    # Without its package: the tests are to run with the one that is installed.
    mkdir "$fetching/unpacked"
    tar -xzf "$fetching"/dogpile*.tar.gz -C "$fetching/unpacked" --strip-components=1 \
        --wildcards '*/tests' '*/pyproject.toml'
    mkdir -p .dogpile-suite
    mv "$fetching/unpacked" "$folder"
}

main
