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
    as_root_for "apt-get install $*"
    say "installing with apt-get: $*"
    # A broken third-party list is no reason to stop: install says what is missing.
    apt update || say "apt-get update failed, trying what is known"
    apt install --yes --no-install-recommends "$@" \
        || fail "apt-get could not install: $*"
}

# Debian keeps what is newer than a release in that release's backports. Where PACKAGE is
# in none of the known lists, add these, from the mirror that the release comes from.
provide_backports() {
    local package=$1 codename mirror
    local list=/etc/apt/sources.list.d/holdover-backports.sources
    as_root_for "apt-get install $package"
    apt update || say "apt-get update failed, trying what is known"
    ! apt-cache show "$package" >/dev/null 2>&1 || return 0
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' "Codename: $codename" | head -n 1)
    [ -n "$mirror" ] || fail "please install: $package"
    say "$package is in $codename-backports only: adding $list"
    printf '%s\n' 'Types: deb' "URIs: $mirror" "Suites: $codename-backports" \
        'Components: main' 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' \
        | "${AS_ROOT[@]}" tee "$list" >/dev/null
}

# Set AS_ROOT to what runs a command as root, or say that WANTED is left to the user.
as_root_for() {
    local wanted=$1
    command -v apt-get >/dev/null || fail "please install: ${wanted#apt-get install }"
    AS_ROOT=(env)
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "please run as root: $wanted"
        AS_ROOT=(sudo env)
    fi
}

apt() {
    "${AS_ROOT[@]}" DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2
}

# The bin folders of pyenv's Pythons, newest last. Its shims show only one version,
# and neither uv nor tox looks behind them.
pyenv_bins() {
    local bin
    for bin in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/*/bin; do
        [ ! -d "$bin" ] || printf '%s\n' "$bin"
    done
}
