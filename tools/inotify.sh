#!/bin/sh
# Every Envoy watches its certificates, by an instance of inotify for each of two files, and the
# tests run up to a hundred Envoys at once. Linux gives a user 128 by default.
set -eu
limit=/proc/sys/fs/inotify/max_user_instances
wanted=1024
[ -r "$limit" ] || exit 0
have=$(cat "$limit")
[ "$have" -lt "$wanted" ] || exit 0
if [ -w "$limit" ] && echo "$wanted" 2>/dev/null >"$limit"; then
	echo "tools: fs.inotify.max_user_instances was $have and is $wanted now"
	exit 0
fi
echo "tools: the tests need more instances of inotify than $have: sudo sysctl fs.inotify.max_user_instances=$wanted" >&2
exit 1
