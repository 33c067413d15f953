# shellcheck shell=bash
# Words the scripts in tools/ share. Sourced by them, never run.

say() {
    printf 'holdover: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 1
}

# Install Debian packages; elsewhere, or without the rights, say what is wanted and fail.
apt_install() {
    command -v apt-get >/dev/null || fail "please install: $*"
    local as_root=(env)
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "please run as root: apt-get install $*"
        as_root=(sudo env)
    fi
    local apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)

    say "installing with apt-get: $*"
    # A broken third-party list is no reason to stop: install says what is missing.
    "${apt[@]}" update >&2 || say "apt-get update failed, trying what is known"
    "${apt[@]}" install --yes --no-install-recommends "$@" >&2 \
        || fail "apt-get could not install: $*"
}

# The bin folders of pyenv's Pythons, newest last. Its shims show only one version,
# and neither uv nor tox looks behind them.
pyenv_bins() {
    local bin
    for bin in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/*/bin; do
        [ ! -d "$bin" ] || printf '%s\n' "$bin"
    done
}
