package images

import (
	_ "embed"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
)

const (
	postgresPrograms = "/usr/lib/postgresql/15/bin"
	postgresData     = "/var/lib/postgresql/data"
	postgresSockets  = "/run/postgresql"
)

//go:embed postgres/entrypoint.sh
var postgresEntrypoint []byte

var postgres = server{
	official:   "postgres:15",
	tree:       postgresTree,
	entrypoint: postgresEntrypoint,
	config: v1.Config{
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"postgres"},
		Env: []string{
			"PATH=" + postgresPrograms + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"LANG=C.UTF-8",
			"PG_MAJOR=15",
			"PGDATA=" + postgresData,
		},
		Volumes:      map[string]struct{}{postgresData: {}},
		ExposedPorts: map[string]struct{}{"5432/tcp": {}},
		StopSignal:   "SIGINT",
	},
}

// postgresTree is what of Debian goes into the image. Left out is what a server in a container never opens: documentation,
// translations, the cluster that the package makes at installation, Perl (only Debian's cluster wrappers need it) and the
// just-in-time compiler, which the server does without when its library is not there.
var postgresTree = debian{
	suite:   "bookworm",
	include: []string{"postgresql"},
	user:    "postgres",
	number:  999,
	own:     []string{postgresData, postgresSockets},
	leaveOut: strings.Fields(`
		./dev/* ./proc/* ./sys/* ./tmp/* ./var/tmp/* ./var/log/*
		./var/cache/* ./var/lib/apt/lists/* ./var/lib/postgresql/15
		./usr/share/doc ./usr/share/man ./usr/share/info ./usr/share/locale ./usr/share/i18n ./usr/share/lintian
		./usr/share/perl ./usr/share/perl5 ./usr/lib/*/perl
		./usr/lib/*/libLLVM* ./usr/lib/*/libz3.* ./usr/lib/postgresql/15/lib/llvmjit* ./usr/lib/postgresql/15/lib/bitcode
		./usr/lib/*/gconv
	`),
}
