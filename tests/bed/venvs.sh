#!/usr/bin/env bash
# Installs both Kinto releases, each in a virtual environment of its own with its dependencies as of a date near that
# release: old releases break with today's. Build products: re-used when the stamp file says they are what is asked.
#
#   venvs.sh DIRECTORY       -> DIRECTORY/kinto-20.6.1, DIRECTORY/kinto-26.5.0
set -euo pipefail
root=${1:?directory}
mkdir -p "$root"
root=$(cd "$root" && pwd)
exec 9>"$root/lock"
flock 9

# Without compiled files Kinto needs 5 s to start instead of 1.5.
unset PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE=1
# The machine's own certificates, as pip and cargo use them: a company's proxy is trusted there or nowhere. Newer and
# older name of the same setting.
export UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true

python() {
  local candidate
  for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3.10 python3; do
    command -v "$candidate" >/dev/null || continue
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "venvs.sh: no Python 3.10 or newer with venv (package python3-venv)" >&2
  return 1
}

# environment NAME DATE REQUIREMENT...
environment() {
  local name=$1 date=$2 stamp python
  shift 2
  stamp="$root/$name/stamp"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$date $*" ]; then return; fi
  python=$(python)
  if [ ! -x "$root/uv/bin/uv" ]; then
    "$python" -m venv --clear "$root/uv"
    "$root/uv/bin/pip" install -q --disable-pip-version-check uv
  fi
  rm -rf "${root:?}/$name"
  "$root/uv/bin/uv" venv -q --python "$python" "$root/$name"
  "$root/uv/bin/uv" pip install -q --python "$root/$name/bin/python" --exclude-newer "$date" "$@"
  echo "$date $*" >"$stamp"
}

environment kinto-20.6.1 2025-09-15 'kinto[postgresql]==20.6.1' waitress 'setuptools<80'
environment kinto-26.5.0 2026-11-10 'kinto[postgresql]==26.5.0' waitress
