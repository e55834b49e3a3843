package images

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestMirrorFor(t *testing.T) {
	cases := map[string]struct {
		files map[string]string
		want  string
	}{
		"a line of a list": {
			files: map[string]string{"sources.list": "# comment\ndeb http://mirror.test/debian bookworm main contrib # why\n"},
			want:  "http://mirror.test/debian",
		},
		"a line with options": {
			files: map[string]string{"sources.list.d/own.list": "deb [arch=amd64 signed-by=/key] https://mirror.test/debian/ bookworm main\n"},
			want:  "https://mirror.test/debian/",
		},
		"a paragraph": {
			files: map[string]string{"sources.list.d/debian.sources": "Types: deb deb-src\nURIs: http://mirror.test/debian\n" +
				"Suites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN\n  key\n"},
			want: "http://mirror.test/debian",
		},
		"the source that lists the suite wins over security and foreign ones": {
			files: map[string]string{
				"sources.list.d/a.list":         "deb https://packages.test/apt cloud-sdk-bookworm main\n",
				"sources.list.d/debian.sources": "Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main\n\n# own\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n",
			},
			want: "http://mirror.test/debian",
		},
		"a machine of another release lends its mirror": {
			files: map[string]string{"sources.list": "deb http://mirror.test/debian trixie main\n"},
			want:  "http://mirror.test/debian",
		},
		"sources only, disabled and unusable addresses do not count": {
			files: map[string]string{
				"sources.list":              "deb-src http://mirror.test/debian bookworm main\ndeb mirror+file:/etc/apt/mirrors bookworm main\ndeb cdrom:[Debian disc]/ bookworm main\ndeb http://mirror.test/debian bookworm contrib\n",
				"sources.list.d/no.sources": "Enabled: no\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n",
			},
		},
		"no sources at all": {},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for path, content := range c.files {
				root["etc/apt/"+path] = &fstest.MapFile{Data: []byte(content)}
			}
			sources, err := aptSources(root)
			require.NoError(t, err)
			mirror, err := mirrorFor("bookworm", sources)
			if c.want == "" {
				require.ErrorContains(t, err, "no Debian mirror for bookworm")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, mirror)
		})
	}
}
