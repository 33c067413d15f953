#!/usr/bin/env bash
# Run tox with every Python that pyenv has:  tools/tox.sh [tox arguments]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

tools/bootstrap.sh dev
tools/dogpile_suite.sh
PATH=$PATH$(pyenv_bins | sed 's/^/:/' | tr -d '\n')
export PATH UV_PYTHON_DOWNLOADS=never
exec .venv/bin/tox "$@"
