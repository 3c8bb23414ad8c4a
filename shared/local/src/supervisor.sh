# Runs one server in DIR and ends it when whoever asked for it is gone, however it went: the end of our standard input
# is the one thing that even SIGKILL cannot keep from us. Written for any POSIX shell.
#
# usage: sh supervisor.sh DIR SIGNAL COMMAND…
# DIR/log is what the server says, DIR/pid its number; DIR/exited appears when it has ended. DIR goes with us.
# A line on standard input lets go of its writer: `keep` leaves the server alone until somebody ends it, `share` ends it
# when no process named in DIR/users has been alive for three seconds.
set -u
umask 077
dir=$1 signal=$2
shift 2
cd "$dir" || exit 1
exec 3<&0 </dev/null

"$@" >log 2>&1 3<&- &
server=$!
echo "$server" >pid

end() {
  # Not a number that somebody else may have by now.
  [ -e exited ] || kill -s "$signal" "$server" 2>/dev/null
}

alive() {
  if [ -d /proc/self ]; then [ -d "/proc/$1" ]; else ps -p "$1" >/dev/null 2>&1; fi
}

until_unused() {
  idle=0
  while [ ! -e exited ] && sleep 1; do
    idle=$((idle + 1))
    for user in users/*; do
      [ -e "$user" ] || continue
      if alive "${user##*/}"; then idle=0; else rm -f "$user"; fi
    done
    # Removing it settles the race with a newcomer: either its file is there and this fails, or it cannot enter.
    if [ "$idle" -ge 3 ] && rmdir users 2>/dev/null; then return; fi
  done
}

guard() {
  read -r word <&3
  case $word in
  keep) return ;;
  share)
    exec 3<&-
    until_unused
    ;;
  esac
  end
}

trap '' HUP
trap end INT TERM
guard &
guard=$!
exec 3<&-

# A trapped signal ends `wait` early.
while kill -0 "$server" 2>/dev/null; do
  wait "$server"
done
: >exited
wait "$guard"
cd / && rm -rf "$dir"
