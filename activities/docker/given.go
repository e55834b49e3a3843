package docker

import (
	"encoding/json"
	"sync"

	"windlass/schemas/traffic"
)

// given remembers what each proxy was found to do or was given last. A proxy refuses to
// change from anything else, so that this is enough to change what it does, and saves to
// read it: the engine takes as long for that as for a command. It is not enough to leave
// a proxy as it is.
type given struct {
	mutex sync.Mutex
	texts map[string][]byte // of each container, by its ID
}

func newGiven() *given { return &given{texts: map[string][]byte{}} }

// of is what is remembered of a container, nil if nothing is. It belongs to the caller.
func (g *given) of(container string) *traffic.Configuration {
	g.mutex.Lock()
	text := g.texts[container]
	g.mutex.Unlock()
	var c traffic.Configuration
	if json.Unmarshal(text, &c) != nil {
		return nil
	}
	return &c
}

// remember notes the text of a configuration, which belongs to it from then on.
func (g *given) remember(container string, text []byte) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.texts[container] = text
}

// forget is for a container that is removed, or of which it is not known what it does.
func (g *given) forget(container string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.texts, container)
}
