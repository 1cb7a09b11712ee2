#!/bin/sh
# For use as $BROWSER: opens the URL in browser.mjs and, like a desktop browser,
# returns at once. Its PID goes to $BROWSER_OUT/browser.pid, its result to
# browser.json and browser.png there. BROWSER_FOREGROUND=1 waits for the end,
# as a text-mode browser does. BROWSER_FAIL=1 is a browser which cannot start.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
PATH=$here/venv/bin:$PATH # has a node if install.sh had to bring one
out=${BROWSER_OUT:-$here/state/browser}
mkdir -p "$out"
rm -f "$out"/browser*.json "$out"/browser*.png
printf '%s\n' "$*" >"$out/browser.args"
[ -z "${BROWSER_FAIL:-}" ] || { echo "browser.sh: cannot open display" >&2; exit 1; }
[ -z "${BROWSER_FOREGROUND:-}" ] || exec node "$here/browser.mjs" "$@"
setsid node "$here/browser.mjs" "$@" </dev/null >"$out/browser.log" 2>&1 &
echo $! >"$out/browser.pid"
