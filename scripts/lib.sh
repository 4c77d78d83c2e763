# Shared by the scripts beside it, which source it first. POSIX enough for the bash 3.2 of macOS.
#
#   say TEXT             a line about what goes on
#   die TEXT             a line about what went wrong, and the end
#   need_venv            .venv with a Python that fits
#   need_packages NAMES  .venv has the extras of pyproject.toml, as pinned in constraints.txt; quick when nothing changed
#   need_mosquitto       the broker and its command line clients are installed
#   need_databases       the time-series databases that tests write to are installed
#   need_chromium        the browser that tests look at pages with is installed
#   need_systemd_analyze what checks systemd's units is installed, where it can be

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Servers live in sbin, which is not on everybody's PATH.
export PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

say() { printf '%s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Run a command as root: as it is, or through sudo, which may ask for a password only where somebody can type it.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# Install Debian packages; fails where there is no apt, or neither root nor sudo.
apt_install() {
  has apt-get || return 1
  if [ "$(id -u)" -ne 0 ]; then has sudo || return 1; fi
  say "Installing Debian packages: $*"
  # What dpkg unpacks is of no interest; errors come on standard error.
  as_root apt-get update -qq >/dev/null || return 1
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# A Python of at least 3.11 that can make virtual environments; prints its name.
find_python() {
  local name
  for name in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  return 1
}

need_venv() {
  # A virtual environment does not survive being moved with its folder.
  if [ -x .venv/bin/python ] && head -n 1 .venv/bin/pip 2>/dev/null | grep -qF "$PWD/.venv/"; then return; fi
  rm -rf .venv
  local python
  if ! python=$(find_python); then
    apt_install python3 python3-venv || die "Python 3.11 or newer is needed and was not found; please install it"
    python=$(find_python) || die "Python 3.11 or newer is needed; this system's packages have only an older one"
  fi
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    # Debian and Ubuntu keep this part of Python in a package of its own.
    apt_install python3-venv || die "'$python -m venv' does not work here; on Debian: apt-get install python3-venv"
  fi
  say "Making .venv with $("$python" --version)"
  "$python" -m venv .venv || die "could not make .venv; remove the folder and try again"
}

need_packages() {
  need_venv
  local extras=$1 now stamp
  now="$(cat pyproject.toml constraints.txt | cksum)"
  for stamp in ".venv/.has-$extras" ".venv/.has-all,test"; do
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then return; fi
  done
  say "Installing the Python packages of iothub[$extras] into .venv (the first time takes a minute or two)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]" --constraint constraints.txt ||
    die "pip could not install the packages; its message above says why"
  printf '%s\n' "$now" >".venv/.has-$extras"
}

need_mosquitto() {
  if has mosquitto && has mosquitto_pub; then return; fi
  local had_broker=true
  has mosquitto || had_broker=false
  if apt_install mosquitto mosquitto-clients; then
    # The package starts a broker of its own on port 1883; the hub runs one itself. One that was there before stays.
    if [ "$had_broker" = false ] && [ -d /run/systemd/system ]; then
      as_root systemctl disable --now mosquitto >&2 || say "Could not stop the package's own broker on port 1883"
    fi
    return
  fi
  case "$(uname -s)" in
    Darwin) die "Mosquitto is missing; install it with: brew install mosquitto" ;;
    Linux)
      if has apt-get; then
        die "Mosquitto is missing, and installing it needs root or sudo; run as root: apt-get install mosquitto mosquitto-clients"
      elif has dnf; then
        die "Mosquitto is missing; install it with: sudo dnf install mosquitto"
      elif has pacman; then
        die "Mosquitto is missing; install it with: sudo pacman -S mosquitto"
      elif has apk; then
        die "Mosquitto is missing; install it with: sudo apk add mosquitto mosquitto-clients"
      fi
      die "Mosquitto 2.0.11 or newer is missing; install it with the package manager of this system"
      ;;
    *) die "Mosquitto 2.0.11 or newer is missing; see https://mosquitto.org/download/" ;;
  esac
}

need_databases() {
  if has influxd && has victoria-metrics; then return; fi
  local had_influx=true had_victoria=true
  has influxd || had_influx=false
  has victoria-metrics || had_victoria=false
  apt_install influxdb victoria-metrics ||
    die "InfluxDB and VictoriaMetrics are missing, which tests write to; on Debian, as root: apt-get install influxdb victoria-metrics"
  # The packages start servers of their own; tests start theirs. What was there before stays.
  if [ -d /run/systemd/system ]; then
    [ "$had_influx" = true ] || as_root systemctl disable --now influxdb >&2 || say "Could not stop the package's own InfluxDB"
    [ "$had_victoria" = true ] || as_root systemctl disable --now victoria-metrics >&2 ||
      say "Could not stop the package's own VictoriaMetrics"
  fi
}

need_chromium() {
  if has chromium; then return; fi
  # Letters of all pages: without a font the browser draws boxes.
  apt_install chromium fonts-dejavu-core ||
    die "Chromium is missing, which tests look at pages with; on Debian, as root: apt-get install chromium fonts-dejavu-core"
}

need_systemd_analyze() {
  has systemd-analyze || apt_install systemd ||
    say "systemd-analyze is missing: tests of scripts/systemd are skipped"
}
