# What every act does before and after itself: it counts, and kills the agent that runs it if this is the chosen one.
# Sourced with $root set. The agent is found by its own command line among this process's ancestors.
PATH=/usr/bin:/bin
exec 9>>"$root/lock"
flock 9
effect=$(($(cat "$root/effects") + 1))
echo "$effect" >"$root/effects"
exec 9>&-

strike() {
  [ "$(cat "$root/chosen")" = "$effect $1" ] || return 0
  : >"$root/chosen"
  pid=$$
  while [ "$pid" -gt 1 ]; do
    if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q ' agent run '; then
      kill -KILL "$pid"
      echo "$effect $1" >"$root/struck"
      return 0
    fi
    pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
  done
  echo "effect $effect found no agent above it" >>"$root/corrupt"
}
