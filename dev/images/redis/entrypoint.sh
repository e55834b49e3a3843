#!/bin/sh
# Starts Redis with the contract of the official image: options alone are those of redis-server, which runs as the user redis
# with its data in the current directory. Another command is run as it is.
set -eu

if [ $# = 0 ] || [ "${1#-}" != "$1" ]; then
	set -- redis-server "$@"
fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	# A mounted volume may belong to root, or to the user number of another image.
	find . ! -user redis -exec chown redis:redis '{}' +
	exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
fi
exec "$@"
