package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/jsonstream"

	"windlass/activities"
)

// transferMessage is one line of the engine's report. Podman gives an error as text
// only, Docker also in detail.
type transferMessage struct {
	jsonstream.Message
	Failure string `json:"error"`
}

func readTransfer(report io.Reader, l *layers) error {
	decoder := json.NewDecoder(report)
	for {
		var m transferMessage
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the engine's report: %w", err)
		}
		if m.Error != nil && m.Error.Message != "" {
			return errors.New(m.Error.Message)
		}
		if m.Failure != "" {
			return errors.New(m.Failure)
		}
		l.note(m.Message)
	}
}

// layerInterval is the shortest time between two messages about layers.
const layerInterval = 500 * time.Millisecond

// layers adds up what the engine reports of an image's layers. Doing is what becomes
// of the image, such as "pulling app:1".
type layers struct {
	doing  string
	say    activities.Progress
	byID   map[string]layer
	spoken time.Time
}

type layer struct {
	bytes, total int64
	done         bool
}

func newLayers(doing string, say activities.Progress) *layers {
	return &layers{doing: doing, say: say, byID: map[string]layer{}}
}

func (l *layers) note(m jsonstream.Message) {
	if m.ID == "" || strings.HasPrefix(m.Status, "Pulling from") {
		return
	}
	seen := l.byID[m.ID]
	switch m.Status {
	case "Downloading", "Pushing":
		if m.Progress != nil {
			seen.bytes, seen.total = m.Progress.Current, m.Progress.Total
		}
	case "Download complete", "Verifying Checksum":
		seen.bytes = seen.total
	case "Pull complete", "Already exists", "Pushed", "Layer already exists":
		seen.bytes, seen.done = seen.total, true
	}
	l.byID[m.ID] = seen
	if time.Since(l.spoken) >= layerInterval {
		l.spoken = time.Now()
		l.say(l.String())
	}
}

// String is "pulling app:1: 3 of 7 layers, 12.3MB of 50MB".
func (l *layers) String() string {
	var sum layer
	done := 0
	for _, one := range l.byID {
		sum.bytes += one.bytes
		sum.total += one.total
		if one.done {
			done++
		}
	}
	text := fmt.Sprintf("%s: %d of %d layers", l.doing, done, len(l.byID))
	if sum.total > 0 {
		text += fmt.Sprintf(", %s of %s", units.HumanSize(float64(sum.bytes)), units.HumanSize(float64(sum.total)))
	}
	return text
}
