package packetfilter

import (
	"encoding/json"
	"strings"

	"github.com/google/nftables/userdata"
)

// labelChunk is how much of a group's labels one rule holds. The kernel takes 256
// bytes, of which a comment, as which they are written so that the kernel's own
// tools show them, needs three.
const labelChunk = 250

// comments splits the labels into the comments of rules.
func comments(labels map[string]string) ([][]byte, error) {
	text, err := json.Marshal(labels)
	if err != nil {
		return nil, err
	}
	var chunks [][]byte
	for rest := string(text); rest != ""; {
		n := min(len(rest), labelChunk)
		chunks = append(chunks, userdata.AppendString(nil, userdata.TypeComment, rest[:n]))
		rest = rest[n:]
	}
	return chunks, nil
}

// labels puts the comments together again; nil is what cannot be read.
func labels(comments [][]byte) map[string]string {
	var text strings.Builder
	for _, c := range comments {
		if len(c) < 2 || len(c) < 2+int(c[1]) {
			return nil // somebody else's
		}
		part, _ := userdata.GetString(c, userdata.TypeComment)
		text.WriteString(part)
	}
	var labels map[string]string
	if json.Unmarshal([]byte(text.String()), &labels) != nil {
		return nil
	}
	return labels
}
