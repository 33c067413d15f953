#!/usr/bin/env bash
# Prepare .venv:  tools/bootstrap.sh demo|test|bench|lint|dev ...
#
# "demo" is the extra of that name, the others are dependency groups of pyproject.toml.
# Each adds what it needs and removes nothing, so all share one environment. A stamp
# per name keeps a copy of pyproject.toml: while the two agree there is nothing to do.
# Needs a Python >= 3.11 and, when `uv` is not installed, its venv module.

set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

# A Python that is missing is an error that we explain, not a download.
export UV_PYTHON_DOWNLOADS=never

readonly SUPPORTED='import sys; assert sys.version_info >= (3, 11); print(sys.executable)'

main() {
    local name missing=()
    for name in "$@"; do
        is_prepared "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    say "preparing .venv for: ${missing[*]}"
    choose_uv
    is_sound_venv || rm -rf .venv
    [ -d .venv ] || make_venv
    install "${missing[@]}"
    for name in "${missing[@]}"; do
        state >".venv/.holdover-$name"
    done
}

is_prepared() {
    state | cmp -s - ".venv/.holdover-$1" && [ -x .venv/bin/python ]
}

# What an installed environment depends on. The folder is part of it, because the
# commands in .venv/bin name it: a copied tree must not run the code of the original.
state() {
    printf '# prepared in %s\n' "$PWD"
    cat pyproject.toml
}

# Set uv to the user's own when it knows dependency groups, else to ours.
choose_uv() {
    case $(uv pip install --help 2>/dev/null) in
        *--group*) uv=uv; return ;;
    esac
    uv=.tools/bin/uv
    if ! "$uv" --version >/dev/null 2>&1; then
        make_tools
    fi
}

# A small environment that holds uv and nothing else.
make_tools() {
    local python report
    python=$(find_python)
    if ! report=$("$python" -m venv --clear .tools 2>&1); then
        provide_venv_module "$python" "$report"
        "$python" -m venv --clear .tools
    fi
    .tools/bin/python -m pip install \
        --quiet --disable-pip-version-check --only-binary uv uv
}

# Debian keeps ensurepip, without which there is no venv, in a package of its own.
provide_venv_module() {
    local python=$1 report=$2
    case $python in
        /usr/bin/*) apt_install "$("$python" -c \
            'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" ;;
        *) fail "$python makes no virtual environments; install uv, or mend this: $report" ;;
    esac
}

is_sound_venv() {
    .venv/bin/python -c "$SUPPORTED" >/dev/null 2>&1 \
        && grep -qF "$PWD/.venv" .venv/bin/activate
}

make_venv() {
    local python
    python=$(find_python)
    "$uv" venv --quiet --python "$python" .venv
}

install() {
    local name project=. groups=()
    for name in "$@"; do
        case $name in
            demo) project='.[demo]' ;;
            *) groups+=(--group "$name") ;;
        esac
    done
    "$uv" pip install --python .venv/bin/python \
        --editable "$project" ${groups[@]+"${groups[@]}"}
}

find_python() {
    local candidate
    for candidate in python3.11 python3 python3.12 python3.13 python3.14 \
        $(pyenv_bins | sed 's,$,/python3,'); do
        "$candidate" -c "$SUPPORTED" 2>/dev/null && return
    done
    fail "no Python >= 3.11 found: install one (Debian 12 and later: apt-get install python3)"
}

main "$@"
