package images

import (
	_ "embed"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
)

const redisData = "/data"

//go:embed redis/entrypoint.sh
var redisEntrypoint []byte

var redis = server{
	official:   "redis:7",
	tree:       redisTree,
	entrypoint: redisEntrypoint,
	config: v1.Config{
		Entrypoint:   []string{"docker-entrypoint.sh"},
		Cmd:          []string{"redis-server"},
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Volumes:      map[string]struct{}{redisData: {}},
		WorkingDir:   redisData,
		ExposedPorts: map[string]struct{}{"6379/tcp": {}},
	},
}

// redisTree is what of Debian goes into the image. Left out is what a server in a container never opens: documentation,
// translations, Perl and the settings for a server that is started by the machine.
var redisTree = debian{
	suite:   "bookworm",
	include: []string{"redis-server"},
	user:    "redis",
	number:  999,
	own:     []string{redisData},
	leaveOut: strings.Fields(`
		./dev/* ./proc/* ./sys/* ./tmp/* ./var/tmp/* ./var/log/*
		./var/cache/* ./var/lib/apt/lists/* ./etc/redis
		./usr/share/doc ./usr/share/man ./usr/share/info ./usr/share/locale ./usr/share/i18n ./usr/share/lintian
		./usr/share/perl ./usr/share/perl5 ./usr/lib/*/perl
		./usr/lib/*/gconv
	`),
}
