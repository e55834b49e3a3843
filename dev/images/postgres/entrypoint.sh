#!/bin/bash
# Starts PostgreSQL with the contract of the official image, see its environment variables below. The database is made once.
#
#   POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE  the superuser's password, needed on the first start only
#   POSTGRES_USER                                the superuser, by default postgres
#   POSTGRES_DB                                  a database to make, by default named like the superuser
#   PGDATA                                       where the database lives, by default /var/lib/postgresql/data
set -euo pipefail

fail() {
	echo "entrypoint: $*" >&2
	exit 1
}

# A shell that is process 1 ignores signals that it has no trap for, and a stop would then last until the kill.
trap 'exit 130' INT TERM

if [[ $# == 0 || $1 == -* ]]; then
	set -- postgres "$@"
fi
if [[ $1 != postgres ]]; then
	exec "$@"
fi

: "${PGDATA:=/var/lib/postgresql/data}"
export PGDATA

if [[ -n ${POSTGRES_PASSWORD_FILE:-} ]]; then
	[[ -z ${POSTGRES_PASSWORD:-} ]] || fail "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are both set: set one"
	# Read before root is given up: such a file is often for root only.
	POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
	export POSTGRES_PASSWORD
	unset POSTGRES_PASSWORD_FILE
fi

# Both may lie on something that is mounted over the image's own directories.
mkdir -p "$PGDATA" /run/postgresql
chmod 0700 "$PGDATA"
if [[ $(id -u) == 0 ]]; then
	# A mounted volume may belong to root, or to the user number of another image.
	find "$PGDATA" /run/postgresql ! -user postgres -exec chown postgres:postgres '{}' +
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

# The data directory may be a mount point and cannot be renamed. So the database is made in a subdirectory and moved up, with
# PG_VERSION last: it says that the database is whole. The subdirectory without PG_VERSION beside it is a start that was
# cut short, which begins again.
readonly unfinished=$PGDATA/.unfinished

initialise() {
	local user=${POSTGRES_USER:-postgres}
	local database=${POSTGRES_DB:-$user}
	[[ -n ${POSTGRES_PASSWORD:-} ]] || fail "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set for the first start"
	[[ $database != *$'\n'* ]] || fail "POSTGRES_DB must be one line"

	if [[ -d $unfinished ]]; then
		echo "entrypoint: an earlier first start was cut short, beginning again" >&2
	elif [[ -n $(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit) ]]; then
		fail "$PGDATA is not empty and holds no database: empty it or mount another volume"
	fi
	mkdir -p "$unfinished"
	find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found ! -path "$unfinished" -exec rm -rf '{}' +
	rm -rf "$unfinished/data"

	initdb --pgdata="$unfinished/data" --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
		--encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 >&2
	printf '%s\n' 'host all all all scram-sha-256' >>"$unfinished/data/pg_hba.conf"
	printf '%s\n' "listen_addresses = '*'" >>"$unfinished/data/postgresql.conf"
	if [[ $database != postgres && $database != template0 && $database != template1 ]]; then
		printf 'CREATE DATABASE "%s"\n' "${database//\"/\"\"}" |
			postgres --single -D "$unfinished/data" postgres >&2
	fi

	find "$unfinished/data" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv --target-directory="$PGDATA" '{}' +
	# The servers have synced their own files; what is left are our lines and the new places of the files.
	sync "$PGDATA/pg_hba.conf" "$PGDATA/postgresql.conf" "$PGDATA"
	mv "$unfinished/data/PG_VERSION" "$PGDATA/PG_VERSION"
}

if [[ ! -s $PGDATA/PG_VERSION ]]; then
	initialise
fi
rm -rf "$unfinished"
unset POSTGRES_PASSWORD
exec "$@"
