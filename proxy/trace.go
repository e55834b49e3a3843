package proxy

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

// traceHeader carries the trace of a request (W3C Trace Context, section 3.2).
const traceHeader = "Traceparent"

// trace gives a request that has no trace one, not sampled.
func trace(h http.Header) string {
	if parent := h.Get(traceHeader); parent != "" {
		return parent
	}
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // it never fails
	parent := "00-" + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(ids[16:]) + "-00"
	h.Set(traceHeader, parent)
	return parent
}
